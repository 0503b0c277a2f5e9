// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing

@Suite("What is written for people")
struct LogTests {
    @Test(
        "A message is one line, whatever a peer has put into it",
        arguments: [
            ("plain é", "plain é"), ("a\nb", "a\\nb"), ("a\r\nb", "a\\r\\nb"), ("\u{1B}[31mred", "\\u{1B}[31mred"),
            ("a\u{2028}b", "a\\u{2028}b"), ("a\u{202E}b", "a\\u{202E}b"), ("\0", "\\0"),
        ])
    func oneLine(message: String, written: String) {
        #expect(Log.line(time: "T", level: "info", message: message) == "T info \(written)\n")
    }

    @Test("The levels are those of the command line")
    func levels() {
        #expect(Log.levels == ["trace", "debug", "info", "notice", "warning", "error", "critical"])
        #expect(Log.level(named: "loud") == nil)
    }

    @Test("Handlers are listed in columns, and each refusal is a sentence below")
    func handlers() {
        let listing = HandlerListing(
            folders: ["/a"],
            handlers: [
                .init(file: "/a/handler_ram.so", subtype: "ram", name: "RAM", abi: "1.5.4", description: "ram/SIZE"),
                .init(file: "/a/handler_x.so", refusal: "/a/handler_x.so is too old: rebuild it"),
            ])
        #expect(
            listing.table() == """
                SUBTYPE  ABI    FILE               DESCRIPTION
                ram      1.5.4  /a/handler_ram.so  ram/SIZE
                refused: /a/handler_x.so is too old: rebuild it

                """)
        #expect(HandlerListing(folders: ["/a", "/b"], handlers: []).table() == "No handlers found in: /a, /b\n")
    }
}
