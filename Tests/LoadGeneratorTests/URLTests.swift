// SPDX-License-Identifier: Apache-2.0
import LoadGenerator
import Testing

@Suite("URL")
struct URLTests {
    @Test(
        "A URL names portal, target and LUN",
        arguments: [
            ("iscsi://127.0.0.1:3261/iqn.2026-11.org.martlet:default/0", "127.0.0.1", 3261, 0),
            ("iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/7", "127.0.0.1", 3260, 7),
            ("iscsi://[::1]:3260/iqn.2026-11.org.martlet:default/255", "::1", 3260, 255),
            ("iscsi://[2001:db8::7]/iqn.2026-11.org.martlet:default/256", "2001:db8::7", 3260, 256),
            ("iscsi://disk.example.org:860/iqn.2026-11.org.martlet:default/16383", "disk.example.org", 860, 16383),
        ] as [(String, String, UInt16, Int)])
    func legal(text: String, host: String, port: UInt16, lun: Int) throws {
        let url = try LoadURL(text)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.lun == lun)
        #expect(url.targetName == "iqn.2026-11.org.martlet:default")
        #expect(try LoadURL("\(url)") == url)
    }

    @Test("The other types of iSCSI names are names", arguments: ["eui.02004567a425678d", "naa.52004567ba64678d"])
    func names(name: String) throws {
        #expect(try LoadURL("iscsi://127.0.0.1/\(name)/0").targetName == name)
    }

    @Test(
        "What is no URL is told in a sentence that names it",
        arguments: [
            ("", "iscsi://"), ("127.0.0.1/iqn.2026-11.org.martlet:default/0", "iscsi://"),
            ("http://127.0.0.1/iqn.2026-11.org.martlet:default/0", "http://"),
            ("iscsi://", "iscsi://HOST"), ("iscsi://127.0.0.1", "slashes"),
            ("iscsi://127.0.0.1/iqn.2026-11.org.martlet:default", "slashes"),
            ("iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/0/1", "slashes"),
            ("iscsi:///iqn.2026-11.org.martlet:default/0", "no host"),
            ("iscsi://[]/iqn.2026-11.org.martlet:default/0", "no host"),
            ("iscsi://:3260/iqn.2026-11.org.martlet:default/0", "no host"),
            ("iscsi://[::1/iqn.2026-11.org.martlet:default/0", "bracket"),
            ("iscsi://[::1]3260/iqn.2026-11.org.martlet:default/0", "3260"),
            ("iscsi://::1:3260/iqn.2026-11.org.martlet:default/0", "without brackets"),
            ("iscsi://127.0.0.1:/iqn.2026-11.org.martlet:default/0", "port"),
            ("iscsi://127.0.0.1:0/iqn.2026-11.org.martlet:default/0", "\"0\""),
            ("iscsi://127.0.0.1:65536/iqn.2026-11.org.martlet:default/0", "65536"),
            ("iscsi://127.0.0.1:+80/iqn.2026-11.org.martlet:default/0", "+80"),
            ("iscsi://127.0.0.1:http/iqn.2026-11.org.martlet:default/0", "http"),
            ("iscsi://127.0.0.1/disk/0", "\"disk\""), ("iscsi://127.0.0.1/iqn./0", "iqn."),
            ("iscsi://127.0.0.1//0", "iSCSI name"), ("iscsi://127.0.0.1/iqn.2026-11.org.a b/0", "blank"),
            ("iscsi://127.0.0.1/iqn.\(String(repeating: "a", count: 220))/0", "223"),
            ("iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/", "LUN"),
            ("iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/-1", "-1"),
            ("iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/+1", "+1"),
            ("iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/16384", "16384"),
            ("iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/one", "one"),
            ("iscsi://alice%secret@127.0.0.1/iqn.2026-11.org.martlet:default/0", "authentication"),
        ])
    func illegal(text: String, names word: String) {
        let failure = failure { () throws(LoadFailure) in _ = try LoadURL(text) }
        #expect(failure.kind == .usage)
        #expect(failure.description.contains(word), "\(failure)")
        #expect(!failure.description.contains("\n"))
    }
}
