// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// The soft threshold of a thin unit (SBC-4 4.7.3.7): initiators are told once when the storage that is left falls to
/// it, and again only after there was more in between.
final class ThinThreshold: Sendable {
    /// THRESHOLD EXPONENT: 2 to this power is a threshold set, in logical blocks.
    let exponent: UInt8
    /// THRESHOLD COUNT: threshold sets that are left of the medium when it is reached.
    let count: UInt32
    private let isReached = Atomic<Bool>(false)

    private static let setByteCount = 1 << 20
    private static let maximumExponent: UInt8 = 31

    /// `usedPercent`: 1 to 99, of a medium of `blockCount` blocks. A set is 1 MiB, or more where the medium is so large
    /// that the count would not fit.
    init(usedPercent: Int, blockCount: UInt64, blockByteCount: Int) {
        let leftPercent = UInt64(100 - min(max(usedPercent, 1), 99))
        // No overflow: the whole percents, and then what is left of them.
        let left = blockCount / 100 * leftPercent + blockCount % 100 * leftPercent / 100
        var exponent = UInt8((Self.setByteCount / blockByteCount).trailingZeroBitCount)
        while left >> UInt64(exponent) > UInt64(UInt32.max), exponent < Self.maximumExponent { exponent += 1 }
        self.exponent = exponent
        count = max(1, UInt32(clamping: left >> UInt64(exponent)))
    }

    /// Whether initiators are to be told, now that so many blocks are left.
    func isReachedNow(availableBlockCount: UInt64) -> Bool {
        let isBelow = availableBlockCount >> UInt64(exponent) <= UInt64(count)
        return !isReached.exchange(isBelow, ordering: .relaxed) && isBelow
    }
}

extension LogicalUnit {
    /// The storage behind the medium is another: told to every I_T nexus when it has fallen to the threshold. From any
    /// thread.
    public func mappingResourcesChanged() {
        guard let threshold, let available = availableMappingBlockCount else { return }
        if threshold.isReachedNow(availableBlockCount: available) { post(.thinProvisioningSoftThresholdReached) }
    }

    /// LBA mapping resources in blocks; nil where the device cannot tell.
    var availableMappingBlockCount: UInt64? {
        device.mappingResources.map { $0.availableByteCount / UInt64(blockByteCount) }
    }

    var usedMappingBlockCount: UInt64? {
        device.mappingResources.map { $0.usedByteCount / UInt64(blockByteCount) }
    }

    /// The Logical Block Provisioning mode page; nil without a threshold.
    var provisioningModePage: ModePage? {
        threshold.map { .logicalBlockProvisioning(availableThresholdCount: $0.count) }
    }
}
