// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import SCSI
import TargetCore
import Testing

@Suite("Target port groups in the configuration, and at the control socket", .serialized)
struct PortGroupSettingsTests {
    private static let base = """
        devices: {d: {backstore: ram/1M}}
        targets:
          iqn.2026-11.org.example:a: {luns: {0: d}}
          iqn.2026-11.org.example:b: {luns: {0: d}, port-group: 2}

        """

    @Test("Groups, states and the mode are read")
    func everyKey() throws {
        let text = Self.base + "alua: both\nport-groups: {1: {preferred: yes}, 2: {state: standby, preferred: no}}\n"
        let configuration = try ConfigurationFile.parse(text, file: "m.yaml")
        #expect(configuration.targets.map(\.portGroup) == [nil, 2])
        let settings = configuration.portGroups
        #expect(settings.mode == .both)
        #expect(settings.groups.keys.sorted() == [1, 2])
        #expect(settings.groups[1]?.isPreferred == true && settings.groups[2]?.isPreferred == false)
        #expect(settings.groups[1]?.state == .activeOptimized && settings.groups[2]?.state == .standby)
        #expect(try ConfigurationFile.parse(Self.base + "alua: off\n", file: "m.yaml").portGroups.mode == .off)
        #expect(try ConfigurationFile.parse(Self.base, file: "m.yaml").portGroups.mode == nil)
    }

    @Test(
        "What is not so is refused with its line",
        arguments: [
            ("alua: implict\n", "m.yaml:5: alua cannot be \"implict\": did you mean implicit?"),
            (
                "port-groups: {3: {state: standby}}\n",
                "m.yaml:5: port group 3 is that of no target: give a target port-group: 3, or take it out"
            ),
            ("port-groups: {0: {}}\n", "m.yaml:5: \"0\" is no port group: write a number from 1 to 65535"),
            (
                "port-groups: {1: {sate: standby}}\n",
                "m.yaml:5: unknown key \"sate\" in port-groups.1: did you mean state?"
            ),
            ("port-groups: {1: {state: standbi}}\n", "m.yaml:5: state cannot be \"standbi\": did you mean standby?"),
            (
                "port-groups: {1: {preferred: often}}\n",
                "m.yaml:5: preferred cannot be \"often\": write yes or no"
            ),
            ("port-groups: {1: {}, 01: {}}\n", "m.yaml:5: port group 1 stands here twice"),
        ])
    func refused(text: String, expected: String) {
        #expect(throws: Failure.usage(expected)) { try ConfigurationFile.parse(Self.base + text, file: "m.yaml") }
    }

    private struct Source: StatusSource {
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
    func control() async throws {
        let json = #"[{"device":"a b&c","group":2,"state":"standby","preferred":true,"ports":[1,2]}]"#
        let groups = try JSONDecoder().decode([PortGroupReport].self, from: Data(json.utf8))
        let folder = "/tmp/martlet-\(UUID().uuidString.prefix(8))"
        let path = "\(folder)/control"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let listeners = try await ControlListeners.start(
            controlPath: path, metrics: nil, source: Source(portGroups: groups), diagnostics: .silent)
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
