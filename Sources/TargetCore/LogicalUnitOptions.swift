// SPDX-License-Identifier: Apache-2.0

/// What an operator says of a logical unit beyond its store and its name.
public struct LogicalUnitOptions: Sendable {
    /// What WCE is at first, and again after a reset; false makes every write stable before it ends, on a device that
    /// can flush.
    public var writeCacheEnabled = true
    /// RMB: the medium can be ejected, loaded, and kept from that.
    public var isRemovable = false
    /// Percent of the medium, 1 to 99: when less than the rest of it can still be written, initiators are told. For thin
    /// units whose device tells its storage.
    public var thresholdPercent: Int?
    /// Bytes of a physical block, a power of two times the logical block; nil: one logical block.
    public var physicalBlockByteCount: Int?
    /// Who reaches the unit how, through target port groups.
    public var asymmetricAccess = AsymmetricAccessOptions()
    /// Protection information, and where it is kept; nil: there is none.
    public var protection: ProtectionOptions?
    /// For the timestamp; nil: the unit has none.
    public var clock: DeviceClockSource?
    /// Where what must outlive the process is kept; nil: nothing does, and nothing is claimed to.
    public var store: (any DurableStore)?
    /// Seconds since some moment, never less than before: by it ROD tokens expire. From any thread.
    /// Without one they do not.
    public var monotonicSeconds: @Sendable () -> UInt64 = { 0 }

    public init() {}
}
