// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Style")
struct StyleTests {
    /// Past this a file has two subjects.
    static let longestFileLineCount = 500
    static let license = "SPDX-License-Identifier: Apache-2.0"

    private static var code: [SourceTree.File] {
        SourceTree.files.filter { $0.has(extension: "swift", "c", "h") }
    }

    @Test("A file has one subject: it is no longer than 500 lines")
    func fileLength() {
        #expect(!Self.code.isEmpty)
        for file in Self.code {
            #expect(file.lines.count <= Self.longestFileLineCount, "\(file) has \(file.lines.count) lines")
        }
    }

    @Test("Every source names the license in its first lines, and the license is there")
    func license() {
        for file in Self.code + SourceTree.files.filter({ $0.has(extension: "sh") || $0.path == "Makefile" }) {
            #expect(file.lines.prefix(2).contains { $0.contains(Self.license) }, "\(file)")
        }
        let text = FileManager.default.contents(atPath: SourceTree.root + "/LICENSE").map {
            String(decoding: $0, as: UTF8.self)
        }
        #expect(text?.contains("Apache License") == true && text?.contains("END OF TERMS AND CONDITIONS") == true)
    }

    /// In pieces, so that this file is not its own first find.
    static let forbidden =
        [
            // What is not done is not there; what is there is done.
            "TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK:", "not yet " + "implemented",
            "fatalError(\"un" + "implemented",
            // How something came about belongs in no source.
            "previous " + "session", "session " + "of work", "the " + "brief", "as " + "requested", "Chat" + "GPT",
            "Clau" + "de", "Copi" + "lot", "language " + "model", "AI " + "assistant", "AI-" + "generated",
            // A path of one machine.
            "/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/opt/" + "swift",
        ]

    @Test("Nothing speaks of unfinished work, of how it was made, or of one machine", arguments: forbidden)
    func words(word: String) {
        for file in SourceTree.files {
            for (number, line) in file.lines.enumerated() where line.contains(word) {
                Issue.record("\(file):\(number + 1) has the words \(word)")
            }
        }
    }

    @Test("Tests wait for events, not for time", arguments: ["sl" + "eep(", "usl" + "eep", "Task.sl" + "eep"])
    func waits(call: String) {
        for file in SourceTree.files where file.path.hasPrefix("Tests/") && file.has(extension: "swift") {
            for (number, line) in file.lines.enumerated() {
                #expect(!line.contains(call), "\(file):\(number + 1)")
            }
        }
    }

    @Test("Tests are as public as users: none looks inside a module")
    func testable() {
        let attribute = "@test" + "able"
        for file in SourceTree.files where file.path.hasPrefix("Tests/") {
            #expect(!file.text.contains(attribute), "\(file)")
        }
    }

    @Test("Text ends its last line, and no line ends in blanks or holds a tab")
    func blanks() {
        // The lines of a Makefile's recipes begin with tabs.
        for file in SourceTree.files where !file.path.contains("Makefile") {
            #expect(file.text.isEmpty || file.text.hasSuffix("\n"), "\(file) does not end its last line")
            for (number, line) in file.lines.enumerated() {
                let isBad = line.last?.isWhitespace == true || line.contains("\t")
                #expect(!isBad, "\(file):\(number + 1)")
            }
        }
    }
}
