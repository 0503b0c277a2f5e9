// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("Serial numbers and the command window")
struct CommandWindowTests {
    @Test(
        "Serial numbers are ordered across the wrap",
        arguments: [
            (UInt32(0), UInt32(1), true), (1, 0, false), (5, 5, false), (0xFFFF_FFFF, 0, true),
            (0, 0xFFFF_FFFF, false), (0xFFFF_FFF0, 0x10, true), (0, 0x7FFF_FFFF, true), (0, 0x8000_0000, false),
            (0x8000_0000, 0, false), (1, 0x8000_0000, true),
        ])
    func precedes(left: UInt32, right: UInt32, expected: Bool) {
        #expect(SerialNumber.precedes(left, right) == expected)
    }

    @Test(
        "A range of serial numbers knows what it contains",
        arguments: [
            (UInt32(10), UInt32(12), UInt32(10), true), (10, 12, 12, true), (10, 12, 13, false), (10, 12, 9, false),
            (0xFFFF_FFFE, 1, 0xFFFF_FFFF, true), (0xFFFF_FFFE, 1, 0, true), (0xFFFF_FFFE, 1, 1, true),
            (0xFFFF_FFFE, 1, 2, false), (10, 9, 10, false), (10, 9, 9, false), (7, 7, 7, true),
            (0, 0xFFFF_FFFF, 0, false),
        ])
    func contains(first: UInt32, last: UInt32, number: UInt32, expected: Bool) {
        #expect(SerialNumber.contains(first: first, last: last, number) == expected)
    }

    static let starts: [UInt32] = [0, 1, 0x7FFF_FFFE, 0x8000_0000, 0xFFFF_FFF0, 0xFFFF_FFFF]

    @Test("Commands in order are delivered and the window moves on as they end", arguments: starts)
    func inOrder(start: UInt32) {
        var window = CommandWindow(initialCmdSN: start, depth: 4)
        #expect(window.maxCmdSN == start &+ 3)
        for offset in 0..<100 as Range<UInt32> {
            let before = window.maxCmdSN
            #expect(window.receive(cmdSN: start &+ offset, isImmediate: false) == .deliver)
            window.commandStarted()
            #expect(window.expCmdSN == start &+ offset &+ 1)
            #expect(window.maxCmdSN == before)
            window.commandEnded()
            #expect(window.maxCmdSN == before &+ 1)
        }
    }

    @Test("A full window takes no command until one ends", arguments: starts)
    func closes(start: UInt32) {
        var window = CommandWindow(initialCmdSN: start, depth: 3)
        for offset in 0..<3 as Range<UInt32> {
            #expect(window.receive(cmdSN: start &+ offset, isImmediate: false) == .deliver)
            window.commandStarted()
        }
        #expect(window.maxCmdSN == window.expCmdSN &- 1)
        #expect(window.receive(cmdSN: start &+ 3, isImmediate: false) == .ignore)
        #expect(window.receive(cmdSN: start &+ 3, isImmediate: true) == .deliver)
        window.commandEnded()
        #expect(window.receive(cmdSN: start &+ 3, isImmediate: false) == .deliver)
    }

    @Test("What is ahead is held, what is outside or old is ignored", arguments: starts)
    func verdicts(start: UInt32) {
        var window = CommandWindow(initialCmdSN: start, depth: 8)
        let cases: [(UInt32, CommandWindow.Verdict)] = [
            (start &+ 1, .hold), (start &+ 7, .hold), (start &+ 8, .ignore), (start &- 1, .ignore),
            (start &+ 0x8000_0000, .ignore), (start &+ 0x7FFF_FFFF, .ignore), (start, .deliver), (start, .ignore),
            (start &+ 1, .deliver),
        ]
        for (cmdSN, verdict) in cases {
            #expect(window.receive(cmdSN: cmdSN, isImmediate: false) == verdict, "CmdSN \(cmdSN)")
        }
    }

    @Test("Immediate requests take no number wherever theirs is")
    func immediate() {
        var window = CommandWindow(initialCmdSN: 10, depth: 2)
        for cmdSN in [0, 9, 10, 11, 12, 0x8000_0000] as [UInt32] {
            #expect(window.receive(cmdSN: cmdSN, isImmediate: true) == .deliver)
            #expect(window.expCmdSN == 10)
        }
    }

    @Test("Requests that are no commands keep no place")
    func noPlace() {
        var window = CommandWindow(initialCmdSN: 0xFFFF_FFFE, depth: 2)
        for offset in 0..<10 as Range<UInt32> {
            #expect(window.receive(cmdSN: 0xFFFF_FFFE &+ offset, isImmediate: false) == .deliver)
            #expect(window.maxCmdSN == window.expCmdSN &+ 1)
        }
    }

    @Test("MaxCmdSN never decreases and never lets more than the depth be under way", arguments: Seeds.some)
    func randomWalk(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let depth = UInt32.random(in: 1...16, using: &generator)
        var window = CommandWindow(initialCmdSN: generator.word(), depth: depth)
        var underWay = 0
        var immediateUnderWay = 0
        var largest = window.maxCmdSN
        for _ in 0..<5000 {
            switch Int.random(in: 0..<4, using: &generator) {
            case 0:
                if window.receive(cmdSN: window.expCmdSN, isImmediate: false) == .deliver {
                    window.commandStarted()
                    underWay += 1
                }
            case 1 where underWay + immediateUnderWay < 40:
                #expect(window.receive(cmdSN: generator.word(), isImmediate: true) == .deliver)
                window.commandStarted()
                immediateUnderWay += 1
            case 2 where underWay > 0:
                window.commandEnded()
                underWay -= 1
            case 3 where immediateUnderWay > 0:
                window.commandEnded()
                immediateUnderWay -= 1
            default:
                continue
            }
            #expect(!SerialNumber.precedes(window.maxCmdSN, largest))
            largest = window.maxCmdSN
            #expect(underWay <= Int(depth))
            #expect(window.maxCmdSN &- window.expCmdSN &+ 1 <= depth)
        }
    }

    @Test("A depth of nothing is one, and none is wider than serial numbers allow")
    func depths() {
        #expect(CommandWindow(initialCmdSN: 5, depth: 0).maxCmdSN == 5)
        #expect(CommandWindow(initialCmdSN: 0, depth: .max).maxCmdSN == CommandWindow.maximumDepth - 1)
    }
}
