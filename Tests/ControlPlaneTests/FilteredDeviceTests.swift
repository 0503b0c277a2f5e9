// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing

@Suite("Filters on the command line and in the file")
struct FilteredDeviceTests {
    private static func file(_ backstore: String) -> String {
        """
        devices:
          disk:
            backstore: "\(backstore)"
            size: 1G
        targets:
          iqn.2026-11.org.example:a: {luns: {0: disk}}
        """
    }

    @Test("Commas before the last plus are the filters', those behind it part attributes")
    func commandLine() throws {
        let settings = try LUNSpecification.parse(
            "fault:delay=5ms,error=0.1%+fault:on=read,write,short=1/9+ram/1G,readonly")
        #expect(settings.backstore == "ram/1G" && settings.isReadOnly && settings.subtype == "ram")
        #expect(settings.filterTexts == ["fault:delay=5ms,error=0.1%", "fault:on=read,write,short=1/9"])
    }

    @Test("A plus in a path is a plus in a path", arguments: ["file//srv/a+b.img", "file//srv/fault:x+b", "rbd/p/a+b"])
    func plus(text: String) throws {
        let settings = try LUNSpecification.parse(text)
        #expect(settings.backstore == text && settings.filters.isEmpty)
    }

    @Test("A device of the file has filters as on the command line, and nothing is escaped behind them")
    func yaml() throws {
        let configuration = try ConfigurationFile.parse(Self.file("fault:delay=5ms+file//srv/x,y+z.img"), file: "f")
        let settings = configuration.devices[0].settings
        #expect(settings.backstore == "file//srv/x,y+z.img" && settings.byteCount == 1 << 30)
        #expect(settings.filterTexts == ["fault:delay=5ms"])
    }

    private static let wrong: [(String, String)] = [
        (
            "fualt:delay=5ms+ram/1G",
            #"names no known filter with "fualt": did you mean fault? (column 1)"#
        ),
        ("cryptography:key=1+ram/1G", #"names no known filter with "cryptography": known here: fault (column 1)"#),
        (
            "fault:dealy=5ms+ram/1G",
            #"gives the filter fault an option "dealy" that it does not have: did you mean delay? (column 7)"#
        ),
        (
            "fault:error=2+ram/1G",
            "has error=2, which cannot be: write a rate above 0, such as 0.1% or 1/1000 (column 7)"
        ),
        (
            "fault:delay=5ms/file//a",
            "has no + behind the options of the filter fault: write fault:OPTIONS+SUBTYPE/REST, "
                + "such as fault:delay=5ms+ram/1G (column 24)"
        ),
        ("fault:delay=5ms+ram", "has no slash: write SUBTYPE/REST, such as ram/1G or file//srv/disk.img"),
        ("fault:delay=5ms+", "has no slash: write SUBTYPE/REST, such as ram/1G or file//srv/disk.img"),
    ]

    @Test("Mistakes are told with the option, the column and the nearest known word", arguments: wrong)
    func mistakes(text: String, words: String) {
        #expect(throws: Failure.usage(#"LUN "\#(text)" \#(words)"#)) { try LUNSpecification.parse(text) }
        let error = #expect(throws: Failure.self) { try ConfigurationFile.parse(Self.file(text), file: "f.yaml") }
        #expect(error?.kind == .usage)
        #expect(error?.description.hasPrefix("f.yaml:3: ") == true, "\(String(describing: error))")
        #expect(error?.description.hasSuffix(words) == true, "\(String(describing: error))")
    }

    @Test("A filter does not change by what name a device is known: its serial number stays")
    func names() throws {
        func name(_ text: String) throws -> String {
            var options = ServeOptions()
            options.lunSpecifications = [text]
            return try options.configuration().devices[0].name
        }
        #expect(try name("fault:delay=5ms+ram/1G") == name("ram/1G"))
    }
}
