// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import TargetCore
import Testing

/// In the suite of the control socket, whose tests take turns: each holds a thread while it waits for its answer.
extension ControlSocketTests {
    private struct PortGroupSource: StatusSource {
        let portGroups: [PortGroupReport]
        func report() async -> ServerReport { ServerReport() }
        func statistics(_ purpose: StatisticsPurpose) async -> StatisticsReport { StatisticsReport() }

        func change(_ change: PortGroupChange) -> [PortGroupReport] {
            portGroups.filter { $0.group == change.group && $0.device == change.device ?? $0.device }.map {
                var group = $0
                group.state = change.state
                return group
            }
        }
    }

    @Test("A client lists groups, changes one, and is told when there is none")
    func portGroups() async throws {
        let json = #"[{"device":"a b&c","group":2,"state":"standby","preferred":true,"ports":[1,2]}]"#
        let groups = try JSONDecoder().decode([PortGroupReport].self, from: Data(json.utf8))
        let folder = "/tmp/martlet-\(UUID().uuidString.prefix(8))"
        let path = "\(folder)/control"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let listeners = try await ControlListeners.start(
            controlPath: path, metrics: nil, source: PortGroupSource(portGroups: groups), diagnostics: .silent)
        let client = ControlClient(path: path)
        #expect(throws: Never.self) {
            #expect(try client.portGroups() == groups)
            let change = try PortGroupChange(group: 2, state: "active/optimized", device: "a b&c")
            #expect(try client.change(change).map(\.state) == ["active/optimized"])
        }
        #expect(throws: Failure.self) { try client.change(PortGroupChange(group: 3, state: "standby")) }
        #expect(throws: Failure.self) { try client.change(PortGroupChange(group: 2, state: "standby", device: "x")) }
        await listeners.stop()
        #expect(throws: Failure.self) { try PortGroupChange(group: 2, state: "asleep") }
        #expect(throws: Failure.self) { try PortGroupChange(group: 0, state: "standby") }
    }
}
