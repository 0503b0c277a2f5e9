// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What the handler "uring" does with commands, seen from below: in both of a host's manners, and with a kernel that
/// answers as kernels seldom do.
struct UringHandlerTests {
    /// The ways in which the handler works.
    static let ways = UringHost.each("", ";direct=off", ";engine=threads")
    static let rings = UringHost.each("", ";direct=off")

    private func check(
        _ host: UringHost, _ scenario: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let folder = try TestFolder()
        let answer = try host.run(scenario, on: folder.file("disk.img"))
        #expect(answer.status == 0, "\(answer)", sourceLocation: sourceLocation)
    }

    /// Three threads of twenty commands each.
    private func checkIntegrity(_ host: UringHost, commands: Int, fault: String = "none", on path: String? = nil) throws
    {
        let folder = try TestFolder()
        let seed = UInt64.random(in: 0..<1 << 32)
        print("uring integrity, seed \(seed)")
        let scenario = ["integrity", "\(seed)", "3", "20", "\(commands)", fault]
        let answer = try host.run(scenario, on: path ?? folder.file("disk.img"))
        #expect(answer.status == 0, "seed \(seed), \(answer)")
    }

    @Test(
        "Random commands from several threads leave the medium as they must",
        arguments: ways + UringHost.each(";queue-depth=1", ";queue-depth=128", ";queue-depth=4096"))
    func integrity(_ host: UringHost) throws { try checkIntegrity(host, commands: 1000) }

    @Test(
        "The same in blocks of 512 bytes, when transfers end short, when memory is short, and one at a time",
        arguments: ways + UringHost.each(";queue-depth=4"), ["short", "busy", "one"])
    func faults(_ host: UringHost, _ fault: String) throws {
        var host = host
        host.blockByteCount = 512
        try checkIntegrity(host, commands: 300, fault: fault)
    }

    @Test(
        "The same on a file system in memory",
        .enabled(if: FileManager.default.isWritableFile(atPath: "/dev/shm"), "there is no /dev/shm"), arguments: ways)
    func memoryFileSystem(_ host: UringHost) throws {
        let path = "/dev/shm/martlet-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try checkIntegrity(host, commands: 300, on: path)
    }

    @Test(
        "More commands than the queue is deep wait for each other, and none is lost",
        arguments: UringHost.each(";queue-depth=16", ";queue-depth=1", ";queue-depth=128", ";engine=threads"))
    func overflow(_ host: UringHost) throws { try check(host, "overflow", "1000") }

    @Test("A batch is one system call")
    func batch() throws {
        let answer = try UringHost(mode: .batch).run("overflow", "128")
        #expect(answer.status == 0 && answer.lines == ["descriptor: yes", "enters: 1", "enters: 1"], "\(answer)")
    }

    @Test("Without batches each command is submitted at once")
    func singly() throws {
        let answer = try UringHost(mode: .own).run("overflow", "128")
        #expect(answer.status == 0 && answer.lines == ["enters: 128", "enters: 128"], "\(answer)")
    }

    @Test("A command completes though the thread that submitted it only computes", arguments: ways)
    func computing(_ host: UringHost) throws { try check(host, "compute") }

    @Test("A command completes though the thread that submitted it has ended", arguments: ways)
    func ended(_ host: UringHost) throws { try check(host, "exit") }

    @Test("A vector may have more elements than one system call takes", arguments: ways)
    func vector(_ host: UringHost) throws {
        var host = host
        host.blockByteCount = 512
        try check(host, "vector", "3000")
    }

    @Test("A file that was cut short fails reads beyond its end, and grows by writes", arguments: ways)
    func cut(_ host: UringHost) throws { try check(host, "cut") }

    @Test("Flushes run together; after one has failed none ends well", arguments: ways)
    func flush(_ host: UringHost) throws { try check(host, "flush") }

    @Test("A ring that fails ends every command, also those that wait, with an error", arguments: rings)
    func dead(_ host: UringHost) throws {
        var host = host
        host.options += ";queue-depth=8"
        try check(host, "dead", "100")
    }

    @Test("Unmapped blocks read as zeroes, and block status tells where they are", arguments: ways)
    func unmap(_ host: UringHost) throws {
        let answer = try host.run("unmap")
        #expect(answer.status == 0, "\(answer)")
        #expect(
            answer.lines.filter { $0.hasPrefix("extent") } == [
                "extent: 262144 mapped", "extent: 524288 hole", "extent: 262144 mapped",
            ])
    }

    @Test("What lies outside the medium, or has less memory than it says, is refused", arguments: ways)
    func refuse(_ host: UringHost) throws { try check(host, "refuse") }

    @Test("A store that is full says so in sense data", arguments: ways)
    func full(_ host: UringHost) throws { try check(host, "full") }

    @Test("A write-protected device is read, and not changed", arguments: ["", ";direct=off", ";engine=threads"])
    func readOnly(_ options: String) throws {
        let folder = try TestFolder()
        let path = folder.file("disk.img")
        #expect(FileManager.default.createFile(atPath: path, contents: Data(count: 16 << 20)))
        let answer = try UringHost(mode: .readonly, options: options).run(["readonly"], on: path)
        #expect(answer.status == 0, "\(answer)")
    }

    @Test("A device that closes too early leaves no command behind", arguments: rings)
    func abandon(_ host: UringHost) throws {
        var host = host
        host.options += ";queue-depth=16"
        try check(host, "abandon", "500")
    }

    @Test("A device opens again as soon as it has closed", arguments: ways)
    func reopen(_ host: UringHost) throws { try check(host, "reopen", "30") }
}

/// Block devices, where the tests may make them.
@Suite(
    .enabled(
        if: geteuid() == 0 && FileManager.default.fileExists(atPath: "/dev/loop-control"),
        "loop devices are root's to make, where there are any"))
struct UringBlockDeviceTests {
    /// A loop device, as long as the test.
    private final class LoopDevice {
        let folder: TestFolder
        let path: String

        init(byteCount: Int, blockByteCount: Int) throws {
            folder = try TestFolder()
            let file = folder.file("disk.img")
            try #require(FileManager.default.createFile(atPath: file, contents: nil))
            try #require(truncate(file, byteCount) == 0)
            path = try Self.losetup("--sector-size", "\(blockByteCount)", "--find", "--show", file)
        }

        deinit { _ = try? Self.losetup("--detach", path) }

        private static func losetup(_ arguments: String...) throws -> String {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["losetup"] + arguments
            process.standardOutput = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
            return text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    @Test(
        "A block device is served", arguments: UringHandlerTests.ways, ["integrity 7 2 20 500", "reopen 20", "flush"])
    func serve(_ host: UringHost, _ scenario: String) throws {
        let device = try LoopDevice(byteCount: 16 << 20, blockByteCount: 512)
        let answer = try host.run(scenario.split(separator: " ").map(String.init), on: device.path)
        #expect(answer.status == 0, "\(answer)")
    }

    @Test("Blocks that are smaller than the device's go through the page cache, which one line tells")
    func smallBlocks() throws {
        let device = try LoopDevice(byteCount: 16 << 20, blockByteCount: 4096)
        let host = UringHost(blockByteCount: 512)
        let answer = try host.run(["open"], on: device.path)
        #expect(answer.status == 0, "\(answer)")
        #expect(
            answer.log == [
                "\(device.path) goes through the page cache: direct I/O is aligned to 4096 bytes here, "
                    + "and blocks have 512"
            ])
    }
}
