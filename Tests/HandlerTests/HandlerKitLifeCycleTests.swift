// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// What happens to a device of HandlerKit besides its commands, and what its tasks may do.
struct HandlerKitLifeCycleTests {
    @Test("A lost connection closes the device and opens it again", arguments: KitPlugin.allCases)
    func lostConnection(_ plugin: KitPlugin) throws {
        let collector = Collector()
        let device = try plugin.open("", collector)
        defer { device.close() }
        #expect(device.write(block("gone"), at: 0) == .good)
        #expect(KitRequest.loseConnection.run(on: device).outcome == .good)
        #expect(collector.waits(for: "open again"))
        #expect(collector.count(of: "closed after") == 1)
        #expect(KitRequest.answerIsReopening.run(on: device).answer == [1])
        // A new instance, with a new medium.
        #expect(device.read(512, at: 0).bytes == [UInt8](repeating: 0, count: 512))
    }

    @Test("A store that grows by itself is served to its new end", arguments: KitPlugin.allCases)
    func grows(_ plugin: KitPlugin) throws {
        let device = try plugin.open()
        defer { device.close() }
        let changes = Collector()
        device.onCapacityChange = { changes.diagnostics.report(.notice, "changed") }
        #expect(device.read(512, at: 1 << 20).outcome != .good)
        #expect(KitRequest.grow.run(on: device).outcome == .good)
        #expect(changes.waits(for: "changed") && device.blockCount == 4096)
        #expect(device.write(block("last"), at: (2 << 20) - 512) == .good)
        #expect(device.read(512, at: 2 << 20).outcome != .good)
    }

    @Test("A resize asks the handler, and the range that is let through follows", arguments: KitPlugin.allCases)
    func resize(_ plugin: KitPlugin) throws {
        let device = try plugin.open()
        defer { device.close() }
        try device.resize(byteCount: 3 << 20)
        #expect(device.blockCount == 6144)
        #expect(device.write(block("last"), at: (3 << 20) - 512) == .good)
        try device.resize(byteCount: 1 << 19)
        #expect(device.read(512, at: 1 << 19).outcome != .good)
        guard plugin == .blocking else { return }
        #expect(throws: HandlerDeviceError.self) { try device.resize(byteCount: 8 << 20) }
        #expect(device.blockCount == 1024)
    }

    @Test("As many calls run at once as a blocking handler asks for")
    func threads() throws {
        let device = try KitPlugin.blocking.open("meet")
        defer { device.close() }
        // Each waits for all four.
        let requests = (0..<4).map { _ in TestRequest(.read, byteCount: 512) }
        for request in requests { _ = request.start(on: device) }
        device.submissionsEnded()
        for request in requests {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .good)
        }
    }

    /// Starts reads that wait at the handler's gate.
    private func waitingReads(_ count: Int, on device: HandlerDevice) -> [TestRequest] {
        let requests = (0..<count).map { TestRequest(.read, at: UInt64($0) * 512, byteCount: 512) }
        for request in requests { #expect(!request.start(on: device)) }
        device.submissionsEnded()
        return requests
    }

    @Test("Starting commands never waits for them, and no more have a task than the handler allows")
    func commandLimit() throws {
        let collector = Collector()
        let device = try KitPlugin.asynchronous.open("gate", collector)
        let requests = waitingReads(50, on: device)
        #expect(collector.waits(for: "8 are at the gate"))
        // Opens it.
        try device.resize(byteCount: 2 * KitPlugin.byteCount)
        for request in requests {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .good)
        }
        let most = try #require(KitRequest.answerMostAtOnce.run(on: device).answer.first)
        #expect(most == 8)
        device.close()
        #expect(collector.count(of: "that is ignored") == 0)
    }

    @Test("A cancelled command ends early: in its task, or in line for one")
    func cancels() throws {
        let collector = Collector()
        let device = try KitPlugin.asynchronous.open("gate", collector)
        let requests = waitingReads(10, on: device)
        #expect(collector.waits(for: "8 are at the gate"))
        // The last has no task; the first has.
        for request in [requests[9], requests[0]] {
            request.request.cancel(on: device)
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .failed(.busy, nil))
        }
        try device.resize(byteCount: 2 * KitPlugin.byteCount)
        for request in requests[1..<9] {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .good)
        }
        device.close()
        #expect(collector.count(of: "that is ignored") == 0)
    }

    @Test("Commands that are cancelled while they end, end once")
    func cancelRaces() throws {
        let collector = Collector()
        let device = try KitPlugin.asynchronous.open("", collector)
        for round in 0..<500 {
            let requests = (0..<4).map { TestRequest(.read, at: UInt64($0) * 512, byteCount: 512) }
            let underWay = requests.filter { !$0.start(on: device) }
            device.submissionsEnded()
            for (index, request) in underWay.enumerated() where (round + index) % 3 != 0 {
                request.request.cancel(on: device)
            }
            for request in underWay { request.loop.wait(for: request.request) }
            let isEnded = requests.allSatisfy { [.good, .failed(.busy, nil)].contains($0.request.outcome) }
            #expect(isEnded)
        }
        device.close()
        #expect(collector.count(of: "that is ignored") == 0)
    }

    @Test("A handler's health is the device's", arguments: KitPlugin.allCases)
    func health(_ plugin: KitPlugin) throws {
        func health(_ words: String) throws -> DeviceHealth {
            let device = try plugin.open(words)
            defer { device.close() }
            return device.health
        }
        #expect(try health("") == .good && health("errors") == .good)
        #expect(try health("degraded") == DeviceHealth(.degraded, "half of it is gone"))
        guard plugin == .blocking else { return }
        #expect(try health("failed") == DeviceHealth(.failed, "all of it is gone"))
    }

    @Test("Closing waits for the tasks")
    func closeWhileBusy() throws {
        let collector = Collector()
        let device = try KitPlugin.asynchronous.open("gate", collector)
        let requests = waitingReads(20, on: device)
        let isClosed = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            device.close()
            isClosed.signal()
        }
        // This one is refused at any time: for its address, or, once closing has begun, for that.
        while device.read(512, at: 1 << 40).outcome != Self.closed {}
        #expect(collector.count(of: "closed after") == 0)
        try device.resize(byteCount: 2 * KitPlugin.byteCount)
        isClosed.wait()
        for request in requests {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .good)
        }
        #expect(collector.count(of: "closed after flush 1") == 1)
    }

    private static let closed = BlockOutcome.failed(
        .checkCondition, SenseData(.notReady, .logicalUnitNotReadyCauseNotReportable))

    @Test("A task that blocks its thread holds up its own device only")
    func blockingTask() throws {
        let stuck = try KitPlugin.asynchronous.open("block")
        let other = try KitPlugin.asynchronous.open()
        let requests = waitingReads(3, on: stuck)
        #expect(other.write(block("free"), at: 0) == .good)
        #expect(other.read(512, at: 0).bytes == block("free"))
        other.close()
        // Each lets one go on.
        for _ in requests { try stuck.resize(byteCount: stuck.blockCount * 512 - 512) }
        for request in requests {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .good)
        }
        stuck.close()
    }
}
