// SPDX-License-Identifier: Apache-2.0

/// One mode page policy descriptor of VPD page 87h (SPC-4 7.8.10): who shares the values of a mode page.
public struct ModePagePolicy: Equatable, Sendable {
    public enum Policy: UInt8, Sendable {
        /// One set of values for all I_T nexuses.
        case shared = 0
        case perTargetPort = 1
        case perITNexus = 3
    }

    public var pageCode: UInt8
    public var subpageCode: UInt8
    public var policy: Policy

    /// POLICY PAGE CODE 3Fh and POLICY SUBPAGE CODE FFh: all pages that no other descriptor names.
    public static let allShared = ModePagePolicy(
        pageCode: ModePageCode.all, subpageCode: ModePageCode.allSubpages, policy: .shared)

    public init(pageCode: UInt8, subpageCode: UInt8, policy: Policy) {
        self.pageCode = pageCode
        self.subpageCode = subpageCode
        self.policy = policy
    }

    /// MLUS zero: the values are the logical unit's own.
    func write(to writer: inout ParameterDataWriter) {
        writer.append(pageCode)
        writer.append(subpageCode)
        writer.append(policy.rawValue)
        writer.append(UInt8(0))
    }
}

/// One SCSI port of VPD page 88h (SPC-4 7.8.15): a target port, and no initiator port.
public struct SCSIPortDescription: Equatable, Sendable {
    /// RELATIVE PORT IDENTIFIER.
    public var relativeIdentifier: UInt16
    /// TARGET PORT DESCRIPTORS: names of association target port.
    public var designators: [DesignationDescriptor]

    public init(relativeIdentifier: UInt16, designators: [DesignationDescriptor]) {
        self.relativeIdentifier = relativeIdentifier
        self.designators = designators
    }

    func write(to writer: inout ParameterDataWriter) {
        writer.appendZeroes(2)
        writer.append(relativeIdentifier)
        writer.appendZeroes(2)
        writer.append(UInt16(0))  // INITIATOR PORT TRANSPORTID LENGTH
        writer.appendZeroes(2)
        let length = writer.reserveLength(.twoBytes)
        for designator in designators { designator.write(to: &writer) }
        writer.fill(length)
    }
}
