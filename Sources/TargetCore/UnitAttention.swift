// SPDX-License-Identifier: Apache-2.0

public import SCSI
import Synchronization

/// Unit attention conditions that this target establishes, in the order in which they are reported
/// (SAM-5 table 53: what tells of a reset goes before what is particular).
public enum UnitAttention: UInt8, Sendable, CaseIterable {
    case powerOnResetOrBusDeviceReset
    case powerOn
    case scsiBusReset
    case busDeviceResetFunction
    case iTNexusLoss
    case mediumMayHaveChanged
    case commandsClearedByAnotherInitiator
    case commandsClearedByDeviceServer
    case reportedLUNsDataHasChanged
    case inquiryDataHasChanged
    case deviceIdentifierChanged
    case microcodeHasBeenChanged
    case asymmetricAccessStateChanged
    case modeParametersChanged
    case logParametersChanged
    case reservationsPreempted
    case reservationsReleased
    case registrationsPreempted
    case capacityDataHasChanged
    case timestampChanged
    case thinProvisioningSoftThresholdReached

    public var additionalSense: AdditionalSense {
        switch self {
        case .powerOnResetOrBusDeviceReset: .powerOnResetOrBusDeviceResetOccurred
        case .powerOn: .powerOnOccurred
        case .scsiBusReset: .scsiBusResetOccurred
        case .busDeviceResetFunction: .busDeviceResetFunctionOccurred
        case .iTNexusLoss: .iTNexusLossOccurred
        case .mediumMayHaveChanged: .notReadyToReadyChangeMediumMayHaveChanged
        case .commandsClearedByAnotherInitiator: .commandsClearedByAnotherInitiator
        case .commandsClearedByDeviceServer: .commandsClearedByDeviceServer
        case .reportedLUNsDataHasChanged: .reportedLUNsDataHasChanged
        case .inquiryDataHasChanged: .inquiryDataHasChanged
        case .deviceIdentifierChanged: .deviceIdentifierChanged
        case .microcodeHasBeenChanged: .microcodeHasBeenChanged
        case .asymmetricAccessStateChanged: .asymmetricAccessStateChanged
        case .modeParametersChanged: .modeParametersChanged
        case .logParametersChanged: .logParametersChanged
        case .reservationsPreempted: .reservationsPreempted
        case .reservationsReleased: .reservationsReleased
        case .registrationsPreempted: .registrationsPreempted
        case .capacityDataHasChanged: .capacityDataHasChanged
        case .timestampChanged: .timestampChanged
        case .thinProvisioningSoftThresholdReached: .thinProvisioningSoftThresholdReached
        }
    }

    var sense: SenseData { SenseData(.unitAttention, additionalSense) }

    var bit: UInt32 { 1 << UInt32(rawValue) }
}

/// The conditions pending for one I_T_L nexus: a set of bits, since a condition that is established twice is reported
/// once. Posted from any thread; taken by the loop of the nexus. Never overflows.
final class PendingUnitAttentions: Sendable {
    private let bits = Atomic<UInt32>(0)

    var isAny: Bool { bits.load(ordering: .relaxed) != 0 }

    func post(_ attention: UnitAttention) {
        bits.bitwiseOr(attention.bit, ordering: .relaxed)
    }

    func clear(_ attention: UnitAttention) {
        bits.bitwiseAnd(~attention.bit, ordering: .relaxed)
    }

    /// The condition to be reported next.
    var first: UnitAttention? {
        let pending = bits.load(ordering: .relaxed)
        return pending == 0 ? nil : UnitAttention(rawValue: UInt8(pending.trailingZeroBitCount))
    }

    /// Takes the next condition: reporting it clears it (UA_INTLCK_CTRL 00b).
    func takeFirst() -> UnitAttention? {
        guard let attention = first else { return nil }
        bits.bitwiseAnd(~attention.bit, ordering: .relaxed)
        return attention
    }
}
