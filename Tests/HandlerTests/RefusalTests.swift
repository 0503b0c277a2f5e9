// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import TargetCore
import Testing

struct RefusalTests {
    /// The words for the only file in `folder`.
    private func words(_ folder: TestFolder, trusted: Set<String> = []) throws -> String {
        let results = HandlerRegistry(diagnostics: .silent, trustedFiles: trusted).scan(directories: [folder.path])
        try #require(results.count == 1)
        #expect(results[0].subtype == nil)
        let words = try #require(results[0].refusal)
        #expect(words.hasPrefix(results[0].path))
        return words
    }

    @Test(
        "A file that is no shared object of this machine is refused",
        arguments: [
            (Array("#!/bin/sh\n".utf8), "is not an ELF file"), ([], "is not an ELF file"),
            ([0x7F, 0x45, 0x4C, 0x46, 2, 1], "is truncated or damaged: its ELF header"),
            (elf(class: 1), "is not a 64-bit little-endian object"), (elf(data: 2), "not a 64-bit little-endian"),
            (elf(machine: 8), "is built for another processor (ELF machine 8)"),
            (elf(type: 2), "is an ELF file but not a shared object"), (elf(), "has no dynamic symbol table"),
        ])
    func notASharedObject(_ bytes: [UInt8], _ expected: String) throws {
        let folder = try TestFolder()
        try Data(bytes).write(to: URL(fileURLWithPath: folder.file("handler_x.so")))
        #expect(try words(folder).contains(expected))
    }

    /// An ELF header and nothing else.
    private static func elf(
        class width: UInt8 = 2, data: UInt8 = 1, type: UInt8 = 3, machine: UInt8? = nil
    ) -> [UInt8] {
        #if arch(x86_64)
            let here: UInt8 = 62
        #else
            let here: UInt8 = 183
        #endif
        var header = [UInt8](repeating: 0, count: 64)
        header.replaceSubrange(0..<7, with: [0x7F, 0x45, 0x4C, 0x46, width, data, 1])
        header[16] = type
        header[18] = machine ?? here
        return header
    }

    @Test("A shared object cut off at any length is refused, and so is one with any of its first bytes changed")
    func damaged() throws {
        let folder = try TestFolder()
        let whole = try TestFolder()
        let path = try Compiler.compile("broken.c", to: "handler_x.so", in: whole, ["FAULT=1"])
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let target = URL(fileURLWithPath: folder.file("handler_x.so"))
        for count in stride(from: 0, to: bytes.count, by: 97) {
            try Data(bytes[..<count]).write(to: target)
            _ = try words(folder)
        }
        for index in stride(from: 0, to: min(bytes.count, 4096), by: 3) {
            var changed = bytes
            changed[index] ^= 0xFF
            try Data(changed).write(to: target)
            _ = try words(folder)
        }
    }

    @Test(
        "A handler with a fault is refused in words",
        arguments: [
            (["FAULT=1"], "exports no function handler_init"),
            (["FAULT=2"], "does not import tcmur_register_handler"),
            (["FAULT=3"], "built for tcmu-runner 1.2 or older (it imports dbgp): rebuild it"),
            (["FAULT=4"], "built for tcmu-runner 1.4 or older (it imports tcmu_get_dev_private)"),
            (["FAULT=5"], "built for tcmu-runner 1.5.0 to 1.5.3 (it imports tcmur_handle_caw)"),
            (["FAULT=6"], "symbols that nothing offers: tcmu_first_of_tomorrow, tcmu_second_of_tomorrow"),
            (["FAULT=7"], "handler_init returned -5"), (["FAULT=8"], "registered no handler"),
            (["FAULT=9"], "its word at byte 104, unmap, is no function"),
            (["FAULT=10"], "_is_dbus_handler, is neither 0 nor 1"), (["FAULT=11"], "without read"),
            (["FAULT=12"], "does not tell for which generation"), (["FAULT=13"], "handler_init returned 3"),
            (["FAULT=14"], "without a subtype"), (["FAULT=15"], "its nr_threads is 1048576"),
            (["FAULT=16"], "built for tcmu-runner 1.4 or older (it imports tcmu_get_device_size)"),
            (["FAULT=17"], "built for tcmu-runner 1.2 or older (it imports errp)"),
            (["FAULT=18"], "built for tcmu-runner 1.4 or older (it imports tcmu_set_sense_info)"),
            (["FAULT=19"], "1.4 or a git snapshot of 2018-11 to 2019-07 (it has no worker threads and does not import"),
            (["FAULT=20"], "built for tcmu-runner 1.5.0 to 1.5.3 (it imports tcmu_get_daemon_dev_private)"),
            (["FAULT=21"], "built for tcmu-runner 1.5.0 to 1.5.3 (it imports tcmur_handle_writesame)"),
            (["FAULT=23"], "without close"), (["FAULT=24"], "without a subtype without slashes"),
            (["FAULT=0", "OBJECT_SIZE=136"], "tcmu-runner 1.3 (its tcmu_broken_handler has 136 bytes instead of 200)"),
            (["FAULT=0", "OBJECT_SIZE=160"], "tcmu-runner 1.5.0 to 1.5.2 (its tcmu_broken_handler has 160 bytes"),
            (["FAULT=0", "OBJECT_SIZE=152"], "tcmu-runner 1.4 (its tcmu_broken_handler has 152 bytes instead of 200)"),
            (["FAULT=0", "OBJECT_SIZE=184"], "tcmu-runner 1.5.3 (its tcmu_broken_handler has 184 bytes"),
            (["FAULT=0", "OBJECT_SIZE=77"], "unknown generation of tcmu-runner (its tcmu_broken_handler has 77 bytes"),
        ])
    func faults(_ defines: [String], _ expected: String) throws {
        let folder = try TestFolder()
        try Compiler.compile("broken.c", to: "handler_broken.so", in: folder, defines)
        #expect(try words(folder).contains(expected))
    }

    @Test(
        "A handler of the supported generation is taken: by a name of 1.5, a name of 1.6, or the size of its structure",
        arguments: [["FAULT=0"], ["FAULT=22"], ["FAULT=12", "OBJECT_SIZE=200"], ["FAULT=19", "OBJECT_SIZE=200"]])
    func accepted(_ defines: [String]) throws {
        let folder = try TestFolder()
        try Compiler.compile("broken.c", to: "handler_broken.so", in: folder, defines)
        let results = HandlerRegistry(diagnostics: .silent).scan(directories: [folder.path])
        #expect(results.map(\.refusal) == [nil])
        #expect(results.map(\.abi) == ["tcmu-runner 1.5.4"])
    }

    @Test(
        "A handler that does not tell its generation is taken when the operator vouches for it, by whatever path",
        arguments: [12, 19])
    func trusted(_ fault: Int) throws {
        let folder = try TestFolder()
        let path = try Compiler.compile("broken.c", to: "handler_broken.so", in: folder, ["FAULT=\(fault)"])
        let registry = HandlerRegistry(diagnostics: .silent, trustedFiles: [folder.file("other.so")])
        #expect(registry.scan(directories: [folder.path]).compactMap(\.refusal).count == 1)
        let link = folder.file("elsewhere.so")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        let trusting = HandlerRegistry(diagnostics: .silent, trustedFiles: [link])
        #expect(trusting.scan(directories: [folder.path]).map(\.refusal) == [nil])
        #expect(trusting.handler(subtype: "broken")?.path == path)
    }

    @Test("Nobody's word outweighs what a file's symbols say against it", arguments: [3, 4, 5, 6])
    func trustedInVain(_ fault: Int) throws {
        let folder = try TestFolder()
        let path = try Compiler.compile("broken.c", to: "handler_broken.so", in: folder, ["FAULT=\(fault)"])
        let results = HandlerRegistry(diagnostics: .silent, trustedFiles: [path]).scan(directories: [folder.path])
        #expect(results.map { $0.refusal == nil } == [false])
    }

    @Test("A handler whose library is not installed is refused by the loader's words: which library, and what to do")
    func missingLibrary() throws {
        let folder = try TestFolder()
        let library = try Compiler.compile("broken.c", to: "libabsent.so.1", in: folder, ["FAULT=1"])
        try Compiler.compile(
            "broken.c", to: "handler_x.so", in: folder, ["FAULT=0"], linking: ["-Wl,--no-as-needed", library])
        try FileManager.default.removeItem(atPath: library)
        let refusal = try words(folder)
        #expect(
            refusal.contains("libabsent.so.1: cannot open shared object file")
                && refusal.hasSuffix("install what it needs"))
    }

    @Test("A trial is asked after the symbols and before any code of the file runs, and its sentence is the refusal")
    func trial() throws {
        let folder = try TestFolder()
        let path = try Compiler.compile("broken.c", to: "handler_a.so", in: folder, ["FAULT=0"])
        try Compiler.compile("broken.c", to: "handler_b.so", in: folder, ["FAULT=4"])
        let asked = Collector()
        let registry = HandlerRegistry(diagnostics: .silent) { path in
            asked.diagnostics.report(.notice, path)
            return "\(path) failed its trial"
        }
        let results = registry.scan(directories: [folder.path])
        #expect(results[0].refusal == "\(path) failed its trial")
        #expect(asked.count(of: "handler_a.so") == 1 && asked.count(of: "handler_b.so") == 0)
        // Refused by a trial, it has left nothing behind: another registry takes it.
        #expect(HandlerRegistry(diagnostics: .silent).load(file: path).map(\.refusal) == [nil])
    }

    @Test("Earlier folders and names win, and the operator hears of what is left out")
    func order() throws {
        let first = try TestFolder()
        let second = try TestFolder()
        let winner = try Compiler.compile("recorder.c", to: "handler_b.so", in: first, [])
        try Compiler.compile("recorder.c", to: "handler_c.so", in: first, ["THREADS=2"])
        try Compiler.compile("recorder.c", to: "handler_a.so", in: second, ["THREADS=3"])
        try Compiler.compile("recorder.c", to: "libhandler_d.so", in: second, ["SUBTYPE=\"other\""])
        try Compiler.compile("recorder.c", to: "recorder.so", in: second, ["SUBTYPE=\"unseen\""])
        let collector = Collector()
        let registry = HandlerRegistry(diagnostics: collector.diagnostics)
        let results = registry.scan(directories: [first.path, first.file("missing"), second.path])
        #expect(
            results.map { ($0.path as NSString).lastPathComponent } == [
                "handler_b.so", "handler_c.so", "handler_a.so", "libhandler_d.so",
            ])
        #expect(results.map { $0.refusal == nil } == [true, false, false, true])
        #expect(registry.handler(subtype: "recorder")?.path == winner)
        #expect(registry.all.map(\.subtype) == ["other", "recorder"])
        #expect(registry.handler(subtype: "recorde") == nil)
        #expect(collector.count(of: "is left out: \(winner)") == 2)
        #expect(registry.scan(directories: [first.path]).map { $0.refusal == nil } == [true, false])
    }

    @Test("A handler that changes SIGPIPE while it starts does not change it for the process")
    func signals() throws {
        signal(SIGPIPE, SIG_DFL)
        defer { signal(SIGPIPE, SIG_IGN) }
        _ = try Recorder()
        var action = sigaction()
        sigaction(SIGPIPE, nil, &action)
        #expect(unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0)
    }
}
