// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// Whether initiators have been told that a unit's soft threshold has been reached, since it last was not.
final class ThresholdNotice: Sendable {
    private let isGiven = Atomic<Bool>(false)

    /// Whether they are to be told now.
    func shouldTell(isReached: Bool) -> Bool {
        !isGiven.exchange(isReached, ordering: .acquiringAndReleasing) && isReached
    }
}

// Logical block provisioning thresholds (SBC-4 4.7.3.7).
extension LogicalUnit {
    /// Bytes of the smallest threshold set.
    private static let thresholdSetByteCount = 1 << 20

    /// What the store says, where it provisions thinly.
    private var mappingResources: MappingResources? { features.canUnmap ? device.mappingResources : nil }

    /// THRESHOLD EXPONENT: a threshold set has 2 to this power blocks, so that the medium's count fits 32 bits. Zero
    /// where the store does not tell its resources.
    var thresholdExponent: UInt8 { mappingResources == nil ? 0 : threshold(blockCount).exponent }

    /// THRESHOLD COUNT: the sets that are left when storage is taken up to `thresholdPercent` of the medium.
    private func threshold(_ blockCount: UInt64) -> (exponent: UInt8, count: UInt32) {
        var exponent = UInt8(max(1, Self.thresholdSetByteCount / blockByteCount).trailingZeroBitCount)
        while blockCount >> UInt64(exponent) > UInt64(UInt32.max) { exponent += 1 }
        let percent = 100 - UInt64(min(max(options.thresholdPercent ?? 100, 1), 100))
        let blocks = blockCount / 100 * percent + blockCount % 100 * percent / 100
        return (exponent, UInt32(clamping: Self.sets(blocks, exponent)))
    }

    /// Whole sets, the last one perhaps in part.
    private static func sets(_ blockCount: UInt64, _ exponent: UInt8) -> UInt64 {
        let mask = (UInt64(1) << UInt64(exponent)) - 1
        return blockCount >> UInt64(exponent) + (blockCount & mask == 0 ? 0 : 1)
    }

    private func sets(ofBytes byteCount: UInt64) -> UInt32 {
        UInt32(clamping: Self.sets(byteCount / UInt64(blockByteCount), threshold(blockCount).exponent))
    }

    /// The log page; nil where the store does not tell. What is available is what all users of the store's place share.
    var provisioningLogPage: LogPage? {
        guard let resources = mappingResources else { return nil }
        return .logicalBlockProvisioning(
            available: resources.availableByteCount.map { (sets(ofBytes: $0), .shared) },
            used: (sets(ofBytes: resources.usedByteCount), .dedicated))
    }

    /// The mode page of the soft threshold; nil without one.
    var thresholdModePage: ModePage? {
        guard options.thresholdPercent != nil, mappingResources != nil else { return nil }
        return .logicalBlockProvisioning(availableThresholdCount: threshold(blockCount).count)
    }

    /// Whether the unit has a soft threshold that somebody must look after.
    public var hasSoftThreshold: Bool { thresholdModePage != nil }

    /// Looks how much storage is left for the medium, and tells every I_T nexus when that has fallen to the soft
    /// threshold; again only after there was more. To be called when it has changed, from any thread.
    public func checkSoftThreshold() {
        guard options.thresholdPercent != nil, let resources = mappingResources else { return }
        let medium = blockCount * UInt64(blockByteCount)
        let unused = medium - min(medium, resources.usedByteCount)
        let available = min(unused, resources.availableByteCount ?? unused)
        let isReached = sets(ofBytes: available) <= threshold(blockCount).count
        if thresholdNotice.shouldTell(isReached: isReached) { post(.thinProvisioningSoftThresholdReached) }
    }

    /// Mode pages that follow from what the unit is, and that nobody changes.
    var fixedModePages: [ModePage] {
        let support = ports.options.support
        let control = ModePage.controlExtension(
            hasTimestamp: clock != nil, changesAccessStates: support == .implicit || support == .implicitAndExplicit)
        return [control] + (thresholdModePage.map { [$0] } ?? [])
    }
}
