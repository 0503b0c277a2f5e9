// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// A logical unit: a store of blocks with its identity, its mode parameters and its reservations.
///
/// It is shared by all nexuses, and so by all loops. What they share is behind atomics, or behind a mutex that is
/// never held over a call to the device or to a loop.
public final class LogicalUnit: Sendable {
    public let device: any BlockDevice

    /// As the device told them when the unit was made; whether it has a volatile cache is asked afresh.
    public let features: BlockDeviceFeatures
    public let blockByteCount: Int
    /// Blocks of the longest READ, WRITE and their like.
    public let maximumTransferBlockCount: UInt64

    /// The device keeps its data in memory, or takes those of writes at once.
    let canMapReads: Bool
    let copiesWrites: Bool

    let options: LogicalUnitOptions
    let protection: UnitProtection?
    /// `protection` is there.
    let isProtected: Bool
    private let blockCountLimit: UInt64
    let modes: ModeState
    let reservations: Reservations
    let ports: UnitPorts
    let turns = UnitTurns()
    let conditions: UnitConditions
    let extents: ExtentGuard
    let tokens: TokenStore
    let durable: DurableUnit
    let operations: UnitOperations
    let removal = MediumRemoval()
    let rest = RestingState()
    let logs = UnitLogs()
    let clock: DeviceClock?
    let buffer = UnitBuffer()
    let thresholdNotice = ThresholdNotice()
    let attachments = Mutex(UnitAttachments())
    private let currentIdentity: Mutex<LogicalUnitIdentity>

    public init(
        device: any BlockDevice, identity: LogicalUnitIdentity, options: LogicalUnitOptions = LogicalUnitOptions()
    ) {
        self.device = device
        self.options = options
        conditions = UnitConditions()
        clock = options.clock.map { DeviceClock($0) }
        ports = UnitPorts(options.asymmetricAccess, conditions: conditions)
        extents = ExtentGuard(conditions: conditions)
        tokens = TokenStore(conditions: conditions, clock: options.monotonicSeconds)
        durable = DurableUnit(options.store)
        operations = UnitOperations(durable.current, conditions: conditions)
        reservations = Reservations(durable.current.reservations?.restored(ports: ports) ?? PersistentReservation())
        currentIdentity = Mutex(identity)
        let protection = options.protection.map(UnitProtection.init)
        self.protection = protection
        isProtected = protection != nil
        features = protection?.features(of: device.features) ?? device.features
        blockByteCount = device.blockByteCount
        // With protection information data go through the core's own memory, to be checked.
        canMapReads = protection == nil && device.canMapReads
        copiesWrites = protection == nil && device.copiesWrites
        let blockByteCount =
            protection == nil ? device.blockByteCount : device.blockByteCount + ProtectionTuple.byteCount
        let byLimit = min(
            UInt64(TargetLimits.transferByteCount / blockByteCount), protection?.maximumTransferBlockCount ?? .max)
        let byDevice = UInt64(device.features.maximumTransferBlockCount)
        maximumTransferBlockCount = byDevice == 0 ? byLimit : min(byLimit, byDevice)
        blockCountLimit = min(UInt64(Int64.max) / UInt64(device.blockByteCount), protection?.blockCount ?? .max)
        modes = ModeState(writeCacheEnabled: options.writeCacheEnabled)
        ModeCommands.restore(self)
    }

    /// Logical blocks of the medium now, no more than keeps every byte offset within an Int64, or have a tuple.
    public var blockCount: UInt64 { min(device.blockCount, blockCountLimit) }

    /// The capacity is another one: told to every I_T nexus. From any thread.
    public func capacityChanged() {
        post(.capacityDataHasChanged)
    }

    /// What INQUIRY tells of the unit.
    public var identity: LogicalUnitIdentity { currentIdentity.withLock { $0 } }

    /// INQUIRY tells something else of the unit: every I_T nexus hears of it (SPC-4 6.6.1), and of a new designator
    /// besides. From any thread.
    public func identityChanged(to new: LogicalUnitIdentity) {
        let old = currentIdentity.withLock { identity in
            defer { identity = new }
            return identity
        }
        guard old != new else { return }
        post(.inquiryDataHasChanged)
        if old.naa != new.naa || old.serial != new.serial { post(.deviceIdentifierChanged) }
    }

    /// The device finds that commands take too long: each loop looks which of its own they are. From any thread.
    public func commandsAreOverdue() {
        for attachment in attached {
            attachment.loop.perform { attachment.nexus.value.cancelOverdue(of: self) }
        }
    }

    /// START STOP UNIT has stopped the unit.
    var isStopped: Bool {
        get { conditions.contains(.stopped) }
        set {
            if isStopped, !newValue { logs.countStartStopCycle() }
            conditions.set(.stopped, newValue)
        }
    }

    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT: 0 to 7.
    var physicalBlockExponent: UInt8 {
        let physical = max(options.physicalBlockByteCount ?? blockByteCount, blockByteCount)
        return UInt8((physical / blockByteCount).trailingZeroBitCount)
    }

    // MARK: - The write cache

    /// Whether data that a write has left behind may still be lost.
    var hasVolatileWriteCache: Bool {
        device.features.hasVolatileWriteCache || isProtected && protection?.hasVolatileWriteCache ?? false
    }

    /// WCE can be switched: without a flush there is no way to write through.
    var isWriteCacheChangeable: Bool { hasVolatileWriteCache && features.canFlush }

    /// WCE as it truly is.
    var isWriteCacheEnabled: Bool {
        hasVolatileWriteCache && (modes.isWriteCacheEnabled || !features.canFlush)
    }

    /// What WCE is again after a reset.
    var isWriteCacheEnabledByDefault: Bool {
        hasVolatileWriteCache && (modes.isDefaultWriteCacheEnabled || !features.canFlush)
    }

    /// DPOFUA: FUA can be kept.
    var canForceUnitAccess: Bool { features.canFlush || !hasVolatileWriteCache }

    /// What a logical unit reset brings back (SAM-5 6.3.3): mode parameters, power condition, and the end of a
    /// reservation by RESERVE. Persistent reservations stay.
    func resetState() {
        reservations.releaseReserve(of: nil)
        ModeCommands.restore(self)
        isStopped = false
        removal.allowForAll()
        wake()
        operations.abortSelfTest()
    }
}

/// A value that only one loop's thread touches, on its way through others.
struct LoopBound<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// An I_T nexus by name (SAM-5 4.9): what persistent reservations remember across logins.
public struct NexusIdentity: Hashable, Sendable {
    public let initiatorPortName: String
    public let relativeTargetPort: UInt16

    public init(initiatorPortName: String, relativeTargetPort: UInt16) {
        self.initiatorPortName = initiatorPortName
        self.relativeTargetPort = relativeTargetPort
    }
}
