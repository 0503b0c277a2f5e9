// SPDX-License-Identifier: Apache-2.0

internal import CLinux
package import EventLoop
internal import ISNS
internal import Synchronization
package import TargetCore
internal import Transport

/// Keeps the server's targets registered with an iSNS server (RFC 4171), in a thread of its own: whatever that server
/// does, or does not, holds up nothing here.
package final class ISNSClient: Sendable {
    private let settings: ISNSSettings
    private let orders = Mutex<[ISNSWorker.Order]>([])
    private let thread = Mutex<LoopThread?>(nil)
    private let current: Mutex<ISNSReport>
    /// An eventfd that wakes the thread.
    private let wakeUp: CInt

    /// The entity keeps its name as long as the process lives.
    private let entity: String

    package init(_ settings: ISNSSettings, sources: ISNSSources, diagnostics: Diagnostics) throws(SystemError) {
        self.settings = settings
        entity = settings.entity ?? sources.targets.first ?? "martlet"
        var report = ISNSReport()
        report.server = settings.server.description
        report.entity = entity
        current = Mutex(report)
        wakeUp = eventfd(0, clinux_efd_cloexec | clinux_efd_nonblock)
        guard wakeUp >= 0 else { throw SystemError.last("eventfd") }
        let thread = try LoopThread(name: "martlet-isns") { [self] in
            let worker = ISNSWorker(
                settings, entity: entity, wakeUp: wakeUp, diagnostics: diagnostics,
                publish: { [self] report in current.withLock { $0 = report } })
            worker.run { [self] in takeOrders() }
        }
        self.thread.withLock { $0 = thread }
        update(sources)
    }

    deinit { close(wakeUp) }

    /// What is served has changed, or may have.
    package func update(_ sources: ISNSSources) { give(.update(sources)) }

    /// Deregisters and ends the thread. Blocks, for `ISNSClientMachine.withdrawalMilliseconds` at most.
    package func stop() {
        give(.stop)
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.join()
    }

    package var report: ISNSReport { current.withLock { $0 } }

    private func give(_ order: ISNSWorker.Order) {
        orders.withLock { $0.append(order) }
        eventfd_write(wakeUp, 1)
    }

    private func takeOrders() -> [ISNSWorker.Order] {
        orders.withLock { orders in
            defer { orders = [] }
            return orders
        }
    }
}
