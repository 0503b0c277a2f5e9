// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerHost

/// How a handler behaves as a guest in somebody else's process.
enum MannersCases {
    static let all = [
        ConformanceCase("leak.commands", "leaves no memory behind with a command", leaks),
        ConformanceCase("manners.process", "leaves signals, locale, umask and folder alone", process),
        // What is printed is seen from outside, in every case.
        ConformanceCase("manners.output", "prints nothing to standard output") { run in
            guard !run.handler.takesOnlyCDBs else { return }
            let device = try run.openForBlocks()
            let (start, room) = device.area(4096)
            try device.write(run.random.bytes(room), at: start)
            _ = try device.read(at: start, room)
            if run.handler.canFlush { try device.flush(rule: "data.moves") }
        },
    ]

    private static func leaks(_ run: CaseRun) throws {
        guard !run.request.isSanitized else { throw CaseStop.skip("a sanitizer keeps memory for reasons of its own") }
        let device = try run.openForBlocks()
        let (start, _) = device.area(4096)
        let data = run.random.bytes(max(4096, device.blockByteCount))
        let quarter = run.rounds(500, quick: 150)
        var allocated: [Int] = []
        for round in 0...(5 * quarter) {
            let commands = [
                try device.startWrite(data, at: start), try device.startRead(at: start, data.count),
                try device.startRead(at: start, data.count),
            ]
            for command in commands { _ = try device.end(command) }
            // The first part warms up what is kept for ever.
            if round >= quarter, round % quarter == 0 { allocated.append(check_allocated_byte_count()) }
        }
        let grown = zip(allocated.dropFirst(), allocated).map { $0 - $1 }
        // Less than 8 bytes for a command is no leak of a command's.
        if grown.allSatisfy({ $0 >= 8 * quarter }) {
            let count = 3 * quarter * grown.count
            let left = grown.reduce(0, +)
            let words = "\(count) reads and writes left \(left) bytes of memory behind"
            let theirs = LibraryMemory(of: run.request.handlerPath)
            if theirs.mayKeep(left / count, of: LibraryMemory.commandLimit) {
                run.note("\(words): \(theirs.words)")
            } else {
                run.finding("leak.commands", words)
            }
        }
    }

    private static func state() -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16384) { room in
            // The callee keeps to the room and ends the text with NUL.
            unsafe check_process_state(room.baseAddress!, room.count)
            return unsafe String(cString: room.baseAddress!)
        }
    }

    private static func process(_ run: CaseRun) throws {
        let before = processStateBeforeLoading
        func compare(_ when: String) {
            let now = state().split(separator: "\n")
            for (old, new) in zip(before.split(separator: "\n"), now) where old != new {
                let words = "\(when): \(old) has become \(new)"
                // Who maps a file has to: a page of it may be gone.
                if new.hasPrefix("signal BUS caught") { run.note(words) } else { run.finding("manners.process", words) }
            }
        }
        compare("after handler_init")
        let device = try run.open()
        compare("after open")
        if !run.handler.takesOnlyCDBs {
            let (start, room) = device.area(4096)
            _ = try device.read(at: start, room)
        }
        run.close()
        compare("after close")
    }

    /// Noted by the child before anything is loaded.
    nonisolated(unsafe) private static var noted = ""
    static func noteProcessState() { unsafe noted = state() }
    private static var processStateBeforeLoading: String { unsafe noted }
}
