// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import ISCSI
import Testing
import Transport

@Suite("What explain says that discovery shows")
struct ExplanationTests {
    private static let target = "iqn.2026-11.a.b:t"

    /// Portals; rules of discovery; the target's portals.
    private static func text(_ portals: String, _ discovery: String, _ target: String) -> String {
        """
        portals: \(portals)
        devices: {d: {backstore: ram/1M}}
        discovery: \(discovery)
        targets: {"\(self.target)": {luns: {0: d}\(target)}}
        """
    }

    private static let two = "[{listen: \"192.0.2.1:1\"}, {listen: \"192.0.2.2:2\", tag: 2}]"

    /// The file, and the portals at which the target is shown.
    private static let cases: [(String, [String])] = [
        (text(two, "{default: allow}", ""), ["192.0.2.1:1", "192.0.2.2:2"]),
        // Asked at the first, told of the second.
        (text(two, "{initiators: [{portals: [1]}]}", ", portals: [2]"), ["192.0.2.2:2"]),
        (text(two, "{initiators: [{portals: [1]}]}", ""), ["192.0.2.1:1", "192.0.2.2:2"]),
        (text(two, "{default: deny}", ""), []),
        (text(two, "{default: allow}", ", initiators: [{portals: [1]}]"), ["192.0.2.1:1"]),
        // Who may ask at one address of the machine is not told of another family's wildcard, or of loopback.
        (
            text(
                "[{listen: \"192.0.2.1:1\"}, {listen: \"[::]:2\", tag: 2}, {listen: \"127.0.0.1:3\", tag: 2}]",
                "{initiators: [{portals: [1]}]}", ", portals: [2]"), []
        ),
        (
            text(
                "[{listen: \"192.0.2.1:1\"}, {listen: \"[::]:2\", advertise: \"192.0.2.9:5\", tag: 2}]",
                "{initiators: [{portals: [1]}]}", ", portals: [2]"), ["[::]:2"]
        ),
        (text("[{listen: \"0.0.0.0:1\"}]", "{default: allow}", ""), ["0.0.0.0:1"]),
    ]

    @Test("A target is shown at the portals of which discovery tells, wherever that is asked", arguments: cases)
    func seen(text: String, portals: [String]) throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).yaml").path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let question = try ExplainQuestion(initiatorName: "iqn.2026-11.a.b:i", address: "192.0.2.77")
        let report = try ConfigurationFile.explain(path, question)
        let seen = report.targets.filter(\.isSeen).flatMap(\.portals).map { String($0.prefix { $0 != "," }) }
        #expect(seen.sorted() == portals)
        // And that is what SendTargets tells, asked at every portal.
        let configuration = try ConfigurationFile.read(path)
        let served = configuration.portals.map { ServedPortal(bound: $0.listen, settings: $0.settings) }
        let policy = configuration.policy(nil)
        var told: Set<String> = []
        for (position, portal) in served.enumerated() {
            let visitor = Visitor(
                initiatorName: question.initiatorName, address: question.address, portal: PortalIndex(position),
                portalGroupTag: portal.settings.portalGroupTag)
            guard policy.discoveryDecision(for: visitor).isAllowed else { continue }
            let local = portal.bound.isWildcard ? PortalAddress("192.0.2.50:1") : portal.bound
            let records = DiscoveryAnswer.records(.all, for: visitor, policy: policy, portals: served, local: local)
            told.formUnion(records.flatMap(\.portals).map { "\($0.address),\($0.portalGroupTag)" })
        }
        #expect(told.count == portals.count, "\(told)")
    }
}
