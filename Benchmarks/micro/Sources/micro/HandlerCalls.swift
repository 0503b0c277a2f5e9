// SPDX-License-Identifier: Apache-2.0

import CMicro
import HandlerHost
import Synchronization
import TargetCore

/// Who waits for requests that end on other threads, by spinning: what the waiter's sleep costs is not asked here.
final class SpinningLoop: OwnerLoop {
    private let endedCount = Atomic<Int>(0)

    func post(_ request: BlockRequest) { endedCount.add(1, ordering: .acquiringAndReleasing) }

    func perform(_ work: @escaping @Sendable () -> Void) { work() }

    /// Waits until so many have been posted, and forgets them.
    func wait(for count: Int) {
        while endedCount.load(ordering: .acquiring) < count {}
        endedCount.subtract(count, ordering: .acquiringAndReleasing)
    }
}

/// What a handler costs beyond the work that it does.
enum HandlerCalls {
    private static let byteCount = 4096
    private static let batchCount = 32

    /// - Parameter directory: where the two builds of handler_micro.c are.
    static func measure(_ measure: Measure, directory: String) -> [Measure.Entry] {
        let registry = HandlerRegistry(diagnostics: .silent)
        let found = registry.scan(directories: [directory])
        for result in found { if let refusal = result.refusal { fatalError("\(result.path): \(refusal)") } }
        var entries = calls(measure, open("micro", registry))
        entries += handOffs(measure, open("microworker", registry))
        return entries
    }

    private static func open(_ subtype: String, _ registry: HandlerRegistry) -> HandlerDevice {
        guard let handler = registry.handler(subtype: subtype) else { fatalError("no handler \(subtype)") }
        var configuration = HandlerDeviceConfiguration(configString: "\(subtype)/", serial: "micro")
        configuration.byteCount = 512 << 20
        configuration.blockByteCount = 512
        do {
            return try HandlerDevice.open(handler, configuration, diagnostics: .silent)
        } catch {
            fatalError("\(error)")
        }
    }

    private static func request(_ loop: SpinningLoop) -> BlockRequest {
        let request = BlockRequest(loop: loop)
        request.operation = .read
        request.extentByteCount = UInt64(byteCount)
        // Never given back: the program ends soon.
        request.buffer = .allocate(byteCount: byteCount, alignment: 4096)
        return request
    }

    private static func calls(_ measure: Measure, _ device: HandlerDevice) -> [Measure.Entry] {
        let request = request(SpinningLoop())
        let direct = measure("handler-direct", "call the function that a handler's read is") { index in
            let offset = UInt64(index % 1024 * byteCount)
            use(micro_work(request.buffer.baseAddress, byteCount, offset))
        }
        let through = measure("handler-device", "the same through the ABI, inline, to its completion") { index in
            request.byteOffset = UInt64(index % 1024 * byteCount)
            guard request.start(on: device) else { fatalError("the handler did not complete") }
        }
        device.close()
        return [direct, through]
    }

    private static func handOffs(_ measure: Measure, _ device: HandlerDevice) -> [Measure.Entry] {
        let loop = SpinningLoop()
        let requests = (0..<batchCount).map { _ in request(loop) }
        let single = measure(
            "hand-off", "hand a request to a worker and have it back, one at a time", scale: 200, isCounted: false
        ) { _ in
            if requests[0].start(on: device) { return }
            device.submissionsEnded()
            loop.wait(for: 1)
        }
        let batch = measure(
            "hand-off-batch", "the same, \(batchCount) requests at a time (all of them)", scale: 2000, isCounted: false
        ) { _ in
            var pendingCount = 0
            for request in requests where !request.start(on: device) { pendingCount += 1 }
            device.submissionsEnded()
            loop.wait(for: pendingCount)
        }
        device.close()
        return [single, batch]
    }
}
