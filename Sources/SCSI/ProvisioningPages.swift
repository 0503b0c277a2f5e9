// SPDX-License-Identifier: Apache-2.0

extension ModePage {
    private static let controlExtensionByteCount = 28

    /// Control Extension mode page 0Ah/01h (SPC-4 7.5.9): 32 bytes. TCMOS: the timestamp comes from elsewhere as well
    /// as from SET TIMESTAMP; SCSIP: and SET TIMESTAMP goes before; IALUAE: access states change by themselves.
    public static func controlExtension(hasTimestamp: Bool, changesAccessStates: Bool) -> ModePage {
        var body = [UInt8](repeating: 0, count: controlExtensionByteCount)
        body[0] = .bit(hasTimestamp, 2) | .bit(hasTimestamp, 1) | .bit(changesAccessStates, 0)
        return ModePage(code: ModePageCode.control, subpage: 0x01, defaults: body)
    }
}

extension LogPage {
    /// SCOPE of a resource count.
    public enum ResourceScope: UInt8, Sendable {
        case notReported = 0b00
        /// For this logical unit alone.
        case dedicated = 0b01
        /// Others take from it as well.
        case shared = 0b10
    }

    private static let availableResources: UInt16 = 0x0001
    private static let usedResources: UInt16 = 0x0002

    /// Logical Block Provisioning log page 0Ch (SBC-4 6.4.4): LBA mapping resources in threshold sets. `available`: nil
    /// where the store does not know.
    public static func logicalBlockProvisioning(
        available: (count: UInt32, scope: ResourceScope)?, used: (count: UInt32, scope: ResourceScope)
    ) -> LogPage {
        func parameter(_ code: UInt16, _ resource: (count: UInt32, scope: ResourceScope)) -> LogParameter {
            let count = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: resource.count >> UInt32($0)) }
            return .list(code, count + [resource.scope.rawValue, 0, 0, 0])
        }
        var parameters = [parameter(usedResources, used)]
        if let available { parameters.append(parameter(availableResources, available)) }
        return LogPage(code: LogPageCode.logicalBlockProvisioning, parameters: parameters)
    }
}
