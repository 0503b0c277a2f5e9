// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing

@Suite("LUN specifications")
struct LUNSpecificationTests {
    private static func settings(_ backstore: String, _ change: (inout DeviceSettings) -> Void = { _ in })
        -> DeviceSettings
    {
        var settings = DeviceSettings(backstore: backstore)
        change(&settings)
        return settings
    }

    private static let legal: [(String, DeviceSettings)] = [
        ("ram/1G", settings("ram/1G")),
        ("ram//srv/ram.img", settings("ram//srv/ram.img")),
        ("rbd/pool/image;conf=/etc/ceph/ceph.conf", settings("rbd/pool/image;conf=/etc/ceph/ceph.conf")),
        ("null/", settings("null/")),
        ("file//a,size=10G", settings("file//a") { $0.byteCount = 10 << 30 }),
        ("file//a,size=512", settings("file//a") { $0.byteCount = 512 }),
        ("file//a,size=3k", settings("file//a") { $0.byteCount = 3 << 10 }),
        ("file//a,size=2M", settings("file//a") { $0.byteCount = 2 << 20 }),
        ("file//a,size=1T", settings("file//a") { $0.byteCount = 1 << 40 }),
        ("file//a,size=9223372036854775807", settings("file//a") { $0.byteCount = UInt64(Int64.max) }),
        ("aio//a,block-size=4096", settings("aio//a") { $0.blockByteCount = 4096 }),
        ("aio//a,block-size=512", settings("aio//a") { $0.blockByteCount = 512 }),
        ("uring//a,readonly", settings("uring//a") { $0.isReadOnly = true }),
        ("uring//a,readonly=yes", settings("uring//a") { $0.isReadOnly = true }),
        ("uring//a,readonly=no", settings("uring//a")),
        ("ram/1G,removable", settings("ram/1G") { $0.isRemovable = true }),
        ("ram/1G,removable=off", settings("ram/1G")),
        ("ram/1G,physical-block-size=4096", settings("ram/1G") { $0.physicalBlockByteCount = 4096 }),
        ("ram/1G,threshold=80", settings("ram/1G") { $0.thresholdPercent = 80 }),
        ("ram/1G,threshold=1%", settings("ram/1G") { $0.thresholdPercent = 1 }),
        ("ram/1G,serial=A b=1", settings("ram/1G") { $0.serial = "A b=1" }),
        ("ram/1G,vendor=12345678", settings("ram/1G") { $0.vendor = "12345678" }),
        ("ram/1G,product=1234567890123456", settings("ram/1G") { $0.product = "1234567890123456" }),
        ("ram/1G,protection=1", settings("ram/1G") { $0.protection = 1 }),
        (
            "ram/1G,protection=2,protection-file=/srv/x.pi,application-tag=initiator",
            settings("ram/1G") {
                $0.protection = 2
                $0.protectionFile = "/srv/x.pi"
                $0.isTagOwnedByInitiator = true
            }
        ),
        ("ram/1G,protection=3,application-tag=target", settings("ram/1G") { $0.protection = 3 }),
        ("ram/1G,write-cache=on", settings("ram/1G") { $0.writeCache = true }),
        ("ram/1G,write-cache=off", settings("ram/1G") { $0.writeCache = false }),
        ("ram/1G,merge=on", settings("ram/1G") { $0.merges = true }),
        ("ram/1G,merge=off,merge-delay=0,max-delay=0", settings("ram/1G") { _ in }),
        (
            "ram/1G,merge=on,merge-delay=50us,max-delay=1ms",
            settings("ram/1G") {
                $0.merges = true
                $0.mergeDelayNanoseconds = 50_000
                $0.maximumDelayNanoseconds = 1_000_000
            }
        ),
        (
            "ram/1G,max-delay=1s,merge-delay=1000ms,merge=yes",
            settings("ram/1G") {
                $0.merges = true
                $0.mergeDelayNanoseconds = 1_000_000_000
                $0.maximumDelayNanoseconds = 1_000_000_000
            }
        ),
        (#"file//a\,b,readonly"#, settings("file//a,b") { $0.isReadOnly = true }),
        (#"file//a\b"#, settings(#"file//a\b"#)),
        (#"file//a\"#, settings(#"file//a\"#)),
        (#"ram/1G,serial=a\,b"#, settings("ram/1G") { $0.serial = "a,b" }),
        (
            "file//a,size=1G,block-size=1024,readonly,serial=s,vendor=v,product=p,write-cache=off",
            settings("file//a") {
                $0.byteCount = 1 << 30
                $0.blockByteCount = 1024
                $0.isReadOnly = true
                $0.serial = "s"
                $0.vendor = "v"
                $0.product = "p"
                $0.writeCache = false
            }
        ),
    ]

    @Test("A specification is cut at commas, and its attributes are understood", arguments: legal)
    func legalSpecification(text: String, expected: DeviceSettings) throws {
        #expect(try LUNSpecification.parse(text) == expected)
    }

    private static let illegal: [(String, String)] = [
        ("", "a LUN is empty: write SUBTYPE/REST, such as ram/1G or file//srv/disk.img"),
        ("ram", #"LUN "ram" has no slash: write SUBTYPE/REST, such as ram/1G or file//srv/disk.img"#),
        ("/srv/a", #"LUN "/srv/a" has no subtype before the slash: write SUBTYPE/REST, such as file//srv/a"#),
        (
            "a b/c",
            #"LUN "a b/c" has a subtype with characters other than letters, digits, _ and -: write SUBTYPE/REST, such as ram/1G"#
        ),
        (
            "ram/1G,sise=3",
            #"LUN "ram/1G,sise=3" has no attribute "sise": did you mean size? (a comma that belongs to a path is written \,)"#
        ),
        (
            "ram/1G,bolcksize=512",
            #"LUN "ram/1G,bolcksize=512" has no attribute "bolcksize": did you mean block-size? (a comma that belongs to a path is written \,)"#
        ),
        (
            "file//a,b.img",
            #"LUN "file//a,b.img" has no attribute "b.img": known here: size, block-size, physical-block-size, readonly, removable, protection, protection-file, application-tag, serial, threshold, vendor, product, write-cache, merge, merge-delay, max-delay (a comma that belongs to a path is written \,)"#
        ),
        (
            "ram/1G,",
            #"LUN "ram/1G," has nothing after a comma: take the comma out, or write \, for one in a path"#
        ),
        (
            "ram/1G,size",
            #"LUN "ram/1G,size" gives size no value: write a number of bytes above 0, or one with K, M, G or T, such as size=10G"#
        ),
        (
            "ram/1G,size=0",
            #"LUN "ram/1G,size=0": size cannot be "0": write a number of bytes above 0, or one with K, M, G or T, such as size=10G"#
        ),
        (
            "ram/1G,block-size=513",
            #"LUN "ram/1G,block-size=513": block-size cannot be "513": write 512, 1024, 2048 or 4096"#
        ),
        (
            "ram/1G,readonly=perhaps",
            #"LUN "ram/1G,readonly=perhaps": readonly cannot be "perhaps": write yes or no, or the word readonly alone"#
        ),
        (
            "ram/1G,vendor=123456789",
            #"LUN "ram/1G,vendor=123456789": vendor cannot be "123456789": write 1 to 8 printable ASCII characters"#
        ),
        (
            "ram/1G,physical-block-size=3000",
            #"LUN "ram/1G,physical-block-size=3000": physical-block-size cannot be "3000": write a power of two from 512 to 65536"#
        ),
        (
            "ram/1G,threshold=100",
            #"LUN "ram/1G,threshold=100": threshold cannot be "100": write a percentage from 1 to 99, such as 80"#
        ),
        (
            "ram/1G,protection=4",
            #"LUN "ram/1G,protection=4": protection cannot be "4": write 1, 2 or 3, a type of protection information"#
        ),
        (
            "ram/1G,protection=1,protection-file=a.pi",
            #"LUN "ram/1G,protection=1,protection-file=a.pi": protection-file cannot be "a.pi": write an absolute path"#
        ),
        (
            "ram/1G,application-tag=initiator",
            #"LUN "ram/1G,application-tag=initiator" gives application-tag without protection: add protection=1, 2 or 3, or leave it out"#
        ),
        (
            "ram/1G,write-cache",
            #"LUN "ram/1G,write-cache" gives write-cache no value: write on or off"#
        ),
        (
            "ram/1G,merge-delay=50us",
            #"LUN "ram/1G,merge-delay=50us" gives merge-delay without merge=on: requests are held only to be merged; add merge=on"#
        ),
        (
            "ram/1G,merge=on,max-delay=1ms",
            #"LUN "ram/1G,merge=on,max-delay=1ms" gives max-delay without merge-delay: it limits that delay; add merge-delay, or leave max-delay out"#
        ),
        (
            "ram/1G,merge=on,merge-delay=2ms,max-delay=1ms",
            #"LUN "ram/1G,merge=on,merge-delay=2ms,max-delay=1ms" gives a max-delay below its merge-delay: the longer one is the limit; change one of the two"#
        ),
        (
            "ram/1G,merge=on,merge-delay=2s",
            #"LUN "ram/1G,merge=on,merge-delay=2s": merge-delay cannot be "2s": write a time up to 1s in us, ms or s, such as 50us, or 0 for none"#
        ),
        (
            "ram/1G,readonly,readonly=no",
            #"LUN "ram/1G,readonly,readonly=no" gives readonly twice: leave one of them out"#
        ),
    ]

    @Test("What is wrong is said in one sentence with the remedy", arguments: illegal)
    func illegalSpecification(text: String, sentence: String) {
        #expect(throws: Failure.usage(sentence)) { try LUNSpecification.parse(text) }
    }

    @Test(
        "Values that no attribute takes are refused",
        arguments: [
            "size=", "size=G", "size=1.5G", "size=-1", "size=+1", "size=1GB", "size=9223372036854775808",
            "size=8388608T",
            "size=1 G", "size=٣", "block-size=", "block-size=0", "block-size=8192", "block-size=4K", "readonly=",
            "serial=", "serial= ", "serial=é", "serial=\u{7F}", "vendor=", "product=12345678901234567", "product=\t",
            "merge=maybe", "merge-delay=50", "merge-delay=us", "merge-delay=-1us", "merge-delay=1.5ms", "max-delay=2s",
            "max-delay=1001ms", "max-delay=99999999999999999999s", "max-delay=1 ms", "max-delay=1h",
            "write-cache=maybe", "write-cache=", "=1", "SIZE=1G", "size =1G",
        ])
    func illegalValue(attribute: String) {
        #expect(throws: Failure.self) { try LUNSpecification.parse("ram/1G,\(attribute)") }
    }

    @Test("A text without end is refused for its length")
    func tooLong() {
        let text = "file/" + String(repeating: "a", count: 9000)
        #expect(throws: Failure.usage("a LUN of 9005 bytes is too long: use at most 8192")) {
            try LUNSpecification.parse(text)
        }
    }
}
