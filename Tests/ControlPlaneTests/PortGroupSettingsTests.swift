// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import SCSI
import TargetCore
import Testing

@Suite("Target port groups in the configuration")
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
}
