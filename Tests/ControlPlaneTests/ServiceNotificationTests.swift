// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import Testing

@Suite("Words to the service manager")
struct ServiceNotificationTests {
    @Test("They arrive as datagrams, at a path and at an abstract name", arguments: [false, true])
    func arrive(isAbstract: Bool) throws {
        let name = "\(isAbstract ? "@" : "/tmp/")martlet-\(UUID())"
        let manager = try UnixSocket(bound: name, datagrams: true)
        defer { try? FileManager.default.removeItem(atPath: name) }
        let notification = ServiceNotification(socketName: name)
        try notification.ready(status: "serving 2 LUN(s)")
        try notification.stopping()
        #expect(manager.receive() == "READY=1\nSTATUS=serving 2 LUN(s)\n")
        #expect(manager.receive() == "STOPPING=1\n")
        #expect(manager.receive() == nil)
    }

    @Test("Nobody who asks is told nothing", arguments: [nil, ""])
    func nobody(name: String?) throws {
        try ServiceNotification(socketName: name).ready(status: "")
    }

    @Test("A manager that cannot be reached is a failure that can be told, not a crash")
    func unreachable() {
        for name in ["relative", "vsock:2:1", "/nowhere/at/all", "@" + String(repeating: "a", count: 200)] {
            let failure = #expect(throws: Failure.self) { try ServiceNotification(socketName: name).stopping() }
            #expect(failure?.kind == .runTime)
            #expect(failure?.description.contains(name) == true)
        }
    }
}
