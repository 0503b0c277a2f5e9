// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// The plugin "aio" with some of the faults of Handlers/aio_faults.c, and a file on the file system of the build.
struct FaultyAIO {
    let folder: TestFolder
    let collector = Collector()
    let handler: Handler

    static let byteCount: UInt64 = 1 << 21

    /// Compiled once for all tests.
    private static let compiled = Result {
        let folder = try TestFolder()
        try Compiler.compilePlugin(
            "aio", with: "aio_faults.c",
            wrapping: [
                "io_setup", "io_submit", "io_getevents", "fcntl", "pread", "preadv", "pwritev", "fdatasync",
                "tcmur_register_handler",
            ], libraries: ["aio"], in: folder)
        return folder
    }

    /// `faults`: NAME=VALUE each, as Handlers/aio_faults.c lists them.
    init(_ faults: String...) throws { try self.init(faults) }

    init(_ faults: [String]) throws {
        folder = try TestFolder(in: Plugins.folder)
        let original = try Self.compiled.get().file("handler_aio.so")
        try FileManager.default.copyItem(atPath: original, toPath: folder.file("handler_aio.so"))
        try Data(faults.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: folder.file("faults")))
        let registry = HandlerRegistry(diagnostics: collector.diagnostics)
        let results = registry.scan(directories: [folder.path])
        handler = try #require(registry.handler(subtype: "aio"), "\(results)")
    }

    func open(_ options: String = "", byteCount: UInt64? = Self.byteCount) throws -> HandlerDevice {
        var configuration = HandlerDeviceConfiguration(
            configString: "aio/\(folder.file("disk.img"))\(options)", serial: "1")
        configuration.byteCount = byteCount
        return try HandlerDevice.open(handler, configuration, diagnostics: collector.diagnostics)
    }

    /// Commands of each io_submit.
    var submissions: [Int] { folder.lines("log").filter { $0.hasPrefix("io_submit ") }.map { Int($0.dropFirst(10))! } }
}

struct AIOTests {
    @Test(
        "Random reads and writes keep their data, whatever the kernel does",
        arguments: [
            [], ["SUBMIT_STEP=3"], ["SHORT=4096"], ["SHORT=700"], ["SETUP_LIMIT=4"], ["SETUP_LIMIT=0"],
            ["EVENT_ERROR=\(EAGAIN)"], ["EVENT_ERROR=\(EINVAL)"], ["EVENT_ERROR=\(EINVAL)", "TAKE_BACK=1"],
            ["NO_WAIT_UNKNOWN=1"],
            ["SUBMIT_ERROR=\(EBADF)"], ["SUBMIT_ERROR=\(EAGAIN)"], ["REFUSE_DIRECT=1"],
            ["REFUSE_DIRECT=1", "SHORT=1500"],
            ["REFUSE_BLOCKS=1"],
        ], [false, true])
    func integrity(_ faults: [String], _ isWithoutBatches: Bool) throws {
        let aio = try FaultyAIO(faults + (isWithoutBatches ? ["NO_BATCHES=1"] : []))
        let device = try aio.open()
        #expect((device.completionDescriptor == nil) == isWithoutBatches)
        RandomIO.run(on: device, rounds: 20)
        #expect(TestRequest(.flush).run(on: device) == .good)
        device.close()
        #expect(aio.collector.count(of: "threads do the I/O") <= 1)
    }

    @Test("The data stays, with every way to open it", arguments: ["", ";direct=off", ";queue-depth=1"])
    func persistence(_ options: String) throws {
        let folder = try TestFolder(in: Plugins.folder)
        let string = "aio/\(folder.file("disk.img"))\(options)"
        let device = try Plugins.open(string, byteCount: 1 << 20)
        RandomIO.run(on: device)
        let data = (0..<65536).map { UInt8(truncatingIfNeeded: $0 / 512 &+ $0) }
        #expect(device.write(data, at: 131072) == .good)
        device.close()
        let again = try Plugins.open(string)
        #expect(again.blockCount == 2048 && again.read(65536, at: 131072).bytes == data)
        again.close()
    }

    @Test("A batch is one io_submit, and no more are under way than the queue is deep")
    func depth() throws {
        let aio = try FaultyAIO()
        let device = try aio.open()
        let zeroes = [UInt8](repeating: 0, count: 1 << 20)
        #expect(device.write(zeroes, at: 0) == .good)
        let before = aio.submissions.count
        let requests = (0..<100).map { TestRequest(.read, at: UInt64($0) * 4096, byteCount: 4096) }
        for request in requests { #expect(!request.start(on: device)) }
        device.submissionsEnded()
        for request in requests { request.loop.wait(for: request.request) }
        #expect(aio.submissions.dropFirst(before) == [100])
        device.close()
        let shallow = try aio.open(";queue-depth=8")
        for request in requests { #expect(!request.start(on: shallow)) }
        shallow.submissionsEnded()
        for request in requests { request.loop.wait(for: request.request) }
        shallow.close()
        let counts = aio.submissions.dropFirst(before + 1)
        #expect(counts.reduce(0, +) >= 100 && counts.allSatisfy { $0 <= 8 })
    }

    @Test(
        "A store that cannot do direct I/O is told of once, and served",
        arguments: ["REFUSE_DIRECT=1", "REFUSE_BLOCKS=1"])
    func noDirect(_ fault: String) throws {
        let aio = try FaultyAIO(fault)
        let device = try aio.open()
        #expect(device.write(block("x"), at: 0) == .good && device.read(512, at: 0).bytes == block("x"))
        device.close()
        #expect(aio.collector.count(of: "direct I/O is not possible") == 1 && aio.submissions.isEmpty)
    }

    @Test("Direct I/O that is taken back later costs a line and no command")
    func takenBack() throws {
        let aio = try FaultyAIO("EVENT_ERROR=\(EINVAL)", "TAKE_BACK=1")
        let device = try aio.open()
        for number in 0..<20 {
            #expect(device.write(block("\(number)"), at: 512) == .good)
            #expect(device.read(512, at: 512).bytes == block("\(number)"))
        }
        device.close()
        #expect(aio.collector.count(of: "direct I/O is not possible, a transfer was refused") == 1)
    }

    @Test("With direct=off nothing is told, and the kernel's queue is not used")
    func buffered() throws {
        let aio = try FaultyAIO()
        let device = try aio.open(";direct=off")
        RandomIO.run(on: device, rounds: 10)
        device.close()
        #expect(aio.submissions.isEmpty && aio.collector.count(of: "threads") == 0)
    }

    @Test("A file system in memory is served, direct or not")
    func memory() throws {
        guard FileManager.default.isWritableFile(atPath: "/dev/shm") else { return }
        let folder = try TestFolder(in: "/dev/shm")
        let device = try Plugins.open("aio/\(folder.file("disk.img"))", byteCount: 1 << 20)
        RandomIO.run(on: device)
        device.close()
    }

    @Test("A system with few queues left gives a shallower one, and then none: told once", arguments: [4, 0])
    func fewQueues(_ limit: Int) throws {
        let aio = try FaultyAIO("SETUP_LIMIT=\(limit)")
        let device = try aio.open()
        RandomIO.run(on: device, rounds: 10)
        device.close()
        let words = limit == 0 ? "the kernel's queue cannot be used, fs.aio-max-nr is used up" : "of 4 commands only"
        #expect(aio.collector.count(of: words) == 1)
    }

    @Test(
        "A file that is cut short fails what lies beyond, and nothing else of the batch",
        arguments: ["", ";direct=off"])
    func cutShort(_ options: String) throws {
        let aio = try FaultyAIO()
        let device = try aio.open(options)
        #expect(device.write([UInt8](repeating: 7, count: 1 << 20), at: 0) == .good)
        #expect(truncate(aio.folder.file("disk.img"), 512 * 1024) == 0)
        let requests = (0..<32).map { TestRequest(.read, at: UInt64($0) * 32768, byteCount: 32768) }
        for request in requests { #expect(!request.start(on: device)) }
        device.submissionsEnded()
        for (index, request) in requests.enumerated() {
            request.loop.wait(for: request.request)
            let failure = BlockOutcome.failed(.checkCondition, SenseData(.mediumError, .unrecoveredReadError))
            #expect(request.request.outcome == (index < 16 ? .good : failure), "request \(index)")
        }
        // Half of it is there.
        #expect(device.read(65536, at: 480 * 1024).outcome != .good)
        device.close()
    }

    @Test("A full file system is told as such, to the write that met it")
    func fullFileSystem() throws {
        let aio = try FaultyAIO("FULL_AT=8192", "NO_WAIT_UNKNOWN=1")
        let device = try aio.open()
        let requests = (0..<8).map { TestRequest(write: block("\($0)", byteCount: 4096), at: UInt64($0) * 4096) }
        for request in requests { #expect(!request.start(on: device)) }
        device.submissionsEnded()
        for (index, request) in requests.enumerated() {
            request.loop.wait(for: request.request)
            #expect((request.request.outcome == .good) == (index != 2))
            if index == 2 { #expect(request.request.storeSense[2] == 0x07 && request.request.storeSense[12] == 0x27) }
        }
        device.close()
        #expect(aio.collector.count(of: "cannot write") == 1)
    }

    @Test("After one flush has failed all of them do, until the store is opened again")
    func lostWrites() throws {
        let aio = try FaultyAIO("SYNC_FAILS=1")
        let device = try aio.open()
        let failure = BlockOutcome.failed(.checkCondition, SenseData(.mediumError, .writeError))
        #expect(device.health == .good)
        for _ in 0..<3 { #expect(TestRequest(.flush).run(on: device) == failure) }
        let health = DeviceHealth(.failed, "a flush failed: writes that were acknowledged may be lost")
        #expect(device.health == health && device.health == health)
        device.close()
        #expect(aio.collector.count(of: "cannot flush") == 1)
        let again = try aio.open()
        #expect(again.health == .good)
        #expect(TestRequest(.flush).run(on: again) == .good)
        again.close()
    }

    @Test(
        "Closing waits for what is under way",
        arguments: [[], ["NO_BATCHES=1"], ["SUBMIT_STEP=2"], ["REFUSE_DIRECT=1"]])
    func closing(_ faults: [String]) throws {
        let aio = try FaultyAIO(faults)
        let device = try aio.open(";queue-depth=16")
        let requests = (0..<200).map { TestRequest(write: block("\($0)", byteCount: 4096), at: UInt64($0) * 4096) }
        let waiting = requests.filter { !$0.start(on: device) }
        device.close()
        for request in waiting { request.loop.wait(for: request.request) }
        for request in requests { #expect(request.request.outcome == .good) }
        let again = try aio.open()
        for index in 0..<200 {
            #expect(again.read(4096, at: UInt64(index) * 4096).bytes == block("\(index)", byteCount: 4096))
        }
        again.close()
    }

    @Test(
        "A configuration string that cannot be meant is refused in words",
        arguments: [
            ("aio/", "no absolute path"), ("aio//", "no absolute path"), ("aio/x", "no absolute path"),
            ("aio//x;queue-depth=0", "1 to 4096"), ("aio//x;queue-depth=4097", "1 to 4096"),
            ("aio//x;queue-depth=", "1 to 4096"), ("aio//x;queue-depth=1k", "1 to 4096"),
            ("aio//x;queue-depth=99999999999999999999", "1 to 4096"), ("aio//x;direct=yes", "on or off"),
            ("aio//x;direct", "on or off"), ("aio//x;depth=1", "no option \"depth\""), ("aio//x;", "no option \"\""),
        ])
    func refused(_ string: String, _ words: String) throws {
        var configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        configuration.byteCount = 1 << 20
        let error = try #require(refusal(try Plugins.handler("aio"), configuration))
        #expect(error.description.contains(words))
    }

    @Test("Two devices never write to one file")
    func locked() throws {
        let folder = try TestFolder()
        let device = try Plugins.open("aio/\(folder.file("disk.img"))", byteCount: 1 << 20)
        defer { device.close() }
        let configuration = HandlerDeviceConfiguration(configString: "aio/\(folder.file("disk.img"))", serial: "2")
        #expect(refusal(try Plugins.handler("aio"), configuration) != nil)
    }
}
