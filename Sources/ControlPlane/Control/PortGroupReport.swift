// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// One target port group of one device, for the verb `martlet target port-group`.
public struct PortGroupReport: Codable, Equatable, Sendable {
    public var device: String
    public var group: UInt16
    /// As in the configuration file: active/optimized and so on.
    public var state: String
    public var isPreferred: Bool
    /// Relative target port identifiers: the targets of the server from 1, in their order.
    public var ports: [UInt16]

    enum CodingKeys: String, CodingKey {
        case device, group, state
        case isPreferred = "preferred"
        case ports
    }

    init(device: String, _ descriptor: TargetPortGroupDescriptor) {
        self.device = device
        group = descriptor.number
        state = PortGroupSettings.word(descriptor.state)
        isPreferred = descriptor.isPreferred
        ports = descriptor.ports
    }

    public static func table(_ groups: [PortGroupReport]) -> String {
        guard !groups.isEmpty else { return "No target port groups.\n" }
        var table = TextTable(headings: ["DEVICE", "GROUP", "STATE", "PREFERRED", "PORTS"])
        for each in groups {
            table.add([
                each.device, "\(each.group)", each.state, each.isPreferred ? "yes" : "no",
                each.ports.map(String.init).joined(separator: ","),
            ])
        }
        return table.text()
    }
}

/// A change of a target port group's state that an operator asks for.
public struct PortGroupChange: Equatable, Sendable {
    public var group: UInt16
    public var state: String
    /// Nil: every device that has the group.
    public var device: String?

    private static let groupKey = "group"
    private static let stateKey = "state"
    private static let deviceKey = "device"

    /// Throws for a state that there is not.
    public init(group: UInt16, state: String, device: String? = nil) throws(Failure) {
        guard group > 0 else { throw .usage("there is no port group 0: they are numbered from 1") }
        guard PortGroupSettings.state(state) != nil else {
            throw .usage(
                "a port group cannot be \"\(state)\": "
                    + NearestKey.advice(state, among: PortGroupSettings.states.map(\.word)))
        }
        self.group = group
        self.state = state
        self.device = device
    }

    /// What the control route is told; nil for what does not say what is to be done.
    init?(query: [(name: String, value: String)]) {
        func value(_ name: String) -> String? { query.first { $0.name == name }?.value }
        guard let group = value(Self.groupKey).flatMap({ UInt16($0) }), let state = value(Self.stateKey),
            let change = try? PortGroupChange(group: group, state: state, device: value(Self.deviceKey))
        else { return nil }
        self = change
    }

    /// The query of the control route.
    var query: String {
        var parts = ["\(Self.groupKey)=\(group)", "\(Self.stateKey)=\(Self.escaped(state))"]
        if let device { parts.append("\(Self.deviceKey)=\(Self.escaped(device))") }
        return parts.joined(separator: "&")
    }

    /// Every byte but letters and digits as RFC 3986 writes it.
    static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            let scalar = Unicode.Scalar(byte)
            guard byte < 0x80, scalar.properties.isAlphabetic || scalar.properties.numericType != nil else {
                let digits = String(byte, radix: 16, uppercase: true)
                return "%" + (digits.count == 1 ? "0" : "") + digits
            }
            return String(scalar)
        }.joined()
    }
}
