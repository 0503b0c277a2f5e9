// SPDX-License-Identifier: Apache-2.0
import Testing
import Transport

@Suite("Patterns of initiator names")
struct NamePatternTests {
    @Test(
        "A pattern matches the names that it stands for, whatever their letters' size",
        arguments: [
            ("iqn.1993-08.org.debian:01:abc", "iqn.1993-08.org.debian:01:abc"),
            ("iqn.1993-08.org.debian:*", "iqn.1993-08.org.debian:"),
            ("iqn.1993-08.org.debian:*", "iqn.1993-08.org.debian:01:abc"),
            ("iqn.1993-08.org.debian:*", "IQN.1993-08.ORG.Debian:01:ABC"),
            ("IQN.1993-08.org.DEBIAN:X", "iqn.1993-08.org.debian:x"),
            ("*", ""), ("*", "anything at all"), ("**", "x"), ("*:web?", "iqn.2026-11.a.b:web1"),
            ("iqn.*.org.*:db*", "iqn.2026-11.org.example:db"),
            ("iqn.*:a*a*b", "iqn.x:aaaab"), ("eui.02004567A425678D", "eui.02004567a425678d"),
            ("iqn.2026-11.a.b:h?st", "iqn.2026-11.a.b:h\u{F6}st"),
        ])
    func matches(pattern: String, name: String) throws {
        #expect(try NamePattern(pattern).matches(name))
    }

    @Test(
        "A pattern matches no other name",
        arguments: [
            ("iqn.1993-08.org.debian:01", "iqn.1993-08.org.debian:0"),
            ("iqn.1993-08.org.debian:01", "iqn.1993-08.org.debian:011"),
            ("iqn.1993-08.org.debian:*", "iqn.1993-08.org.debian"),
            ("iqn.1993-08.org.debian:*", "iqn.1993-08.org.debian.example:1"),
            ("iqn.1993-08.org.debian:*", "x.iqn.1993-08.org.debian:1"),
            ("iqn.2026-11.a.b:?", "iqn.2026-11.a.b:"), ("iqn.2026-11.a.b:?", "iqn.2026-11.a.b:ab"),
            ("*:web?", "iqn.2026-11.a.b:web"), ("*a", "b"), ("iqn.*a*b", "iqn.b"), ("iqn.a.b", "iqn.axb"),
            ("iqn.?*", "iqn."),
        ])
    func matchesNot(pattern: String, name: String) throws {
        #expect(try !NamePattern(pattern).matches(name))
    }

    @Test("A pattern made to hold up a matcher that goes back and back is answered at once")
    func backtracking() throws {
        let pattern = try NamePattern("iqn." + String(repeating: "*a", count: 100) + "*b")
        // 100 stars over 200 letters: more ways than atoms, for those who try them all.
        let name = "iqn." + String(repeating: "a", count: 219)
        for _ in 0..<1000 { #expect(!pattern.matches(name)) }
        #expect(pattern.matches(name.dropLast() + "b"))
    }

    @Test(
        "What can stand for no name is no pattern",
        arguments: [
            ("", NamePattern.Defect.empty), (String(repeating: "*", count: 224), .tooLong(maximum: 223)),
            ("iqn.a b", .badCharacter(" ")), ("iqn.[ab]", .badCharacter("[")), ("iqn.a_b", .badCharacter("_")),
            ("iqn.a\n", .badCharacter("\n")), ("debian", .noName), ("iq", .noName), ("iqn", .noName),
            ("abc.*", .noName), ("i?n", .noName),
        ])
    func defects(text: String, defect: NamePattern.Defect) {
        #expect(throws: defect) { try NamePattern(text) }
    }

    @Test("Wildcards may stand at the beginning", arguments: ["*", "i*", "?qn.x", "???.x", "*.debian:*", "n*"])
    func beginnings(text: String) throws {
        _ = try NamePattern(text)
    }

    @Test(
        "A pattern covers those that it matches whatever their wildcards stand for",
        arguments: [
            ("*", "iqn.a", true), ("*", "*", true), ("iqn.*", "iqn.a*", true), ("iqn.*", "iqn.?", true),
            ("iqn.a*", "iqn.*", false), ("iqn.?", "iqn.*", false), ("iqn.?", "iqn.a", true), ("iqn.a", "iqn.?", false),
            ("iqn.A", "iqn.a", true), ("*.x", "iqn.*.x", true), ("iqn.*b", "iqn.*a", false),
            ("iqn.?b", "iqn.*b", false),
        ])
    func covers(wide: String, narrow: String, covers: Bool) throws {
        #expect(try NamePattern(wide).covers(NamePattern(narrow)) == covers)
    }
}
