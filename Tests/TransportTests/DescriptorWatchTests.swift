// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dispatch
import Synchronization
import TargetCore
import Testing
import Transport

/// Descriptors of devices that a server's loops look at.
@Suite("Watched descriptors")
struct DescriptorWatchTests {
    /// An event that a loop takes, and says so.
    private final class Event: Sendable {
        let descriptor = eventfd(0, clinux_efd_nonblock | clinux_efd_cloexec)
        let takenCount = Atomic<Int>(0)
        let taken = DispatchSemaphore(value: 0)

        deinit { close(descriptor) }

        func signal() { eventfd_write(descriptor, 1) }

        func take() {
            var count: eventfd_t = 0
            eventfd_read(descriptor, &count)
            takenCount.add(1, ordering: .sequentiallyConsistent)
            taken.signal()
        }
    }

    @Test("A loop calls while the watch lasts, and never after its end, when the descriptor may be another one")
    func end() throws {
        let configuration = ISCSIServerConfiguration(
            portals: [PortalAddress(host: "127.0.0.1", port: 0)], loopCount: 1)
        let server = ISCSIServer(configuration: configuration, targets: [], diagnostics: .silent)
        _ = try server.start()
        defer { server.stop() }
        let first = Event()
        let second = Event()
        let watch = try #require(server.watch(first.descriptor) { first.take() })
        let other = try #require(server.watch(second.descriptor) { second.take() })
        for round in 1...3 {
            first.signal()
            first.taken.wait()
            #expect(first.takenCount.load(ordering: .sequentiallyConsistent) == round)
        }
        #expect(watch.end())
        // Readable before what the loop tells of next.
        first.signal()
        for _ in 0..<10 {
            second.signal()
            second.taken.wait()
        }
        #expect(first.takenCount.load(ordering: .sequentiallyConsistent) == 3)
        // Twice is once.
        #expect(watch.end() && other.end())
    }
}
