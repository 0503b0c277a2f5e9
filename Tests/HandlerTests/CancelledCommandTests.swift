// SPDX-License-Identifier: Apache-2.0

import HandlerHost
import SCSI
import TargetCore
import Testing

/// The canceller of Handlers/canceller.c, compiled with some of its switches.
private struct Canceller {
    let folder: TestFolder
    let collector = Collector()
    let handler: Handler

    init(_ defines: String...) throws {
        folder = try TestFolder()
        try Compiler.compile("canceller.c", to: "handler_canceller.so", in: folder, defines)
        let registry = HandlerRegistry(diagnostics: collector.diagnostics)
        let results = registry.scan(directories: [folder.path])
        handler = try #require(registry.handler(subtype: "canceller"), "\(results)")
    }

    func open(timeoutSeconds: Int? = nil) throws -> HandlerDevice {
        var configuration = HandlerDeviceConfiguration(
            configString: "canceller/log=\(folder.file("log"))", serial: "1")
        configuration.byteCount = 1 << 20
        if let timeoutSeconds { configuration.commandTimeoutSeconds = timeoutSeconds }
        return try HandlerDevice.open(handler, configuration, diagnostics: collector.diagnostics)
    }

    var calls: [String] { folder.lines("log") }
}

struct CancelledCommandTests {
    @Test(
        "What a handler makes of a cancelled command is the command's one end",
        arguments: [(1, false), (2, false), (3, true), (4, false), (5, false)])
    func ways(_ way: Int, _ isDone: Bool) throws {
        let canceller = try Canceller("CANCEL=\(way)")
        let device = try canceller.open()
        for round in 0..<20 {
            let request = TestRequest(.read, at: UInt64(round) * 512, byteCount: 512)
            #expect(!request.start(on: device))
            request.request.cancel(on: device)
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == (isDone ? .good : .failed(.busy, nil)))
        }
        #expect(device.counters.cancels == 20)
        #expect(canceller.collector.count(of: "completed a command twice") == (way == 4 ? 1 : 0))
        device.close()
        #expect(device.counters.queueLength == 0)
        #expect(canceller.calls == Array(repeating: ["read", "cancel"], count: 20).flatMap { $0 } + ["flush"])
    }

    @Test("A handler that does nothing about it ends the command when it is done, with its data")
    func ignored() throws {
        let canceller = try Canceller("CANCEL=0")
        let device = try canceller.open()
        let request = TestRequest(.write, byteCount: 512)
        #expect(!request.start(on: device))
        request.request.cancel(on: device)
        request.request.cancel(on: device)
        #expect(device.counters.queueLength == 1)
        #expect(TestRequest(.flush).run(on: device) == .good)
        request.loop.wait(for: request.request)
        #expect(request.request.outcome == .good)
        // Now that it has ended there is nothing to cancel.
        request.request.cancel(on: device)
        device.cancel(request.request)
        #expect(device.counters.cancels == 2)
        device.close()
        #expect(canceller.calls == ["write", "cancel", "cancel", "flush", "flush"])
    }

    @Test("A callout that blocks in a worker may be told to return; what waits behind it never reaches the handler")
    func workers() throws {
        let canceller = try Canceller("THREADS=1")
        let device = try canceller.open()
        let blocking = TestRequest(.read, byteCount: 512)
        let waiting = TestRequest(.write, byteCount: 512)
        let kept = TestRequest(.writeZeroes, extent: 4096)
        for request in [blocking, waiting, kept] { #expect(!request.start(on: device)) }
        device.submissionsEnded()
        #expect(canceller.collector.waits(for: "says read"))
        waiting.request.cancel(on: device)
        #expect(canceller.calls == ["read"])
        blocking.request.cancel(on: device)
        for request in [blocking, waiting] {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .failed(.busy, nil))
        }
        #expect(canceller.collector.waits(for: "says zeroes"))
        kept.request.cancel(on: device)
        kept.loop.wait(for: kept.request)
        device.close()
        #expect(canceller.calls == ["read", "cancel", "zeroes 0+4096 flags 0", "cancel", "flush"])
    }

    @Test("Commands that end while they are cancelled end once, whoever is first")
    func races() throws {
        let canceller = try Canceller("CROWD", "CANCEL=5")
        let device = try canceller.open()
        var cancelled = 0
        for round in 0..<2000 {
            let requests = (0..<4).map { TestRequest(.read, at: UInt64($0) * 512, byteCount: 512) }
            // The crowd may be as fast as that.
            let underWay = requests.filter { !$0.start(on: device) }
            for request in requests where (round + Int(request.request.byteOffset)) % 3 != 0 {
                request.request.cancel(on: device)
            }
            for request in underWay { request.loop.wait(for: request.request) }
            for request in requests {
                if request.request.outcome != .good {
                    #expect(request.request.outcome == .failed(.busy, nil))
                    cancelled += 1
                }
            }
        }
        print("\(cancelled) of 8000 were cancelled in time, \(device.counters.cancels) calls")
        // A command counts until its handler is out of it, which may be a moment after its end.
        device.close()
        #expect(device.counters.queueLength == 0)
        #expect(canceller.collector.count(of: "completed a command") == 0)
        #expect(!canceller.calls.contains("closed with commands under way"))
    }

    @Test("A command that is late is cancelled, and the device is degraded until it has ended")
    func late() throws {
        let canceller = try Canceller("CANCEL=0")
        let device = try canceller.open(timeoutSeconds: 1)
        let request = TestRequest(.read, byteCount: 512)
        device.onOverdue = { device.cancelIfOverdue(request.request) }
        #expect(device.health == .good)
        #expect(!request.start(on: device))
        #expect(canceller.collector.waits(for: "1 read command(s) under way for more than 1 s"))
        #expect(canceller.collector.waits(for: "says cancel"))
        #expect(device.health == DeviceHealth(.degraded, "commands are under way for more than 1 s"))
        // One that is not late is not among them.
        let young = TestRequest(.read, at: 512, byteCount: 512)
        #expect(!young.start(on: device))
        let before = device.counters.cancels
        device.cancelIfOverdue(young.request)
        #expect(device.counters.cancels == before)
        #expect(TestRequest(.flush).run(on: device) == .good)
        #expect(canceller.collector.waits(for: "no command is overdue any more"))
        #expect(device.health == .good)
        device.onOverdue = nil
        device.close()
    }

    @Test("A handler without the callout is not told, and its commands end as they do")
    func absent() throws {
        let recorder = try Recorder("EXTENSION=64", "NEVER_BLOCKS=0")
        let device = try recorder.open()
        let request = TestRequest(.write, byteCount: 512)
        request.run(on: device)
        request.request.cancel(on: device)
        device.cancel(request.request)
        #expect(device.counters.cancels == 0)
        device.close()
    }

    @Test(
        "Health is what the handler says, or good when that is no answer",
        arguments: [
            (0, DeviceHealth.good), (1, DeviceHealth(.degraded, "half of it is gone")),
            (2, DeviceHealth(.failed, "half of it is gone")), (3, .good), (-5, .good),
        ])
    func health(_ number: Int, _ expected: DeviceHealth) throws {
        let canceller = try Canceller("HEALTH=\(number)", "REASON=\"half of it is gone\"")
        let device = try canceller.open()
        #expect(device.health == expected)
        device.close()
        #expect(device.health == DeviceHealth(.failed, "it is not open"))
    }
}
