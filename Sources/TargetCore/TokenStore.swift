// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// The ROD tokens of one logical unit: point in time copies that end with the first write to their blocks
/// (SPC-4 5.17.6, SBC-3 4.28).
///
/// A token lies with the unit whose data it stands for, so that whoever presents one finds it only if its I_T nexus has
/// that unit. Shared by all loops. `UnitConditions.tokensWatched` is set while a token lives.
final class TokenStore: Sendable {
    /// Why a token is not good any more.
    private enum End { case revoked, expired, deleted }

    private struct Entry {
        let identifier: UInt64
        let bytes: [UInt8]
        let ranges: [BlockRange]
        let timeoutSeconds: UInt64
        /// Seconds of the unit's clock.
        var lastUse: UInt64
        /// WRITE USING TOKEN commands at work with it: it does not expire meanwhile.
        var userCount = 0
        var end: End?

        func isOverdue(at now: UInt64) -> Bool {
            userCount == 0 && now >= lastUse && now - lastUse >= timeoutSeconds
        }

        var refusal: SenseData? {
            switch end {
            case nil: nil
            case .revoked: .tokenRevoked
            case .expired: .tokenExpired
            case .deleted: .tokenDeleted
            }
        }
    }

    /// What a command has of a token that it uses.
    struct Lease: Sendable {
        let identifier: UInt64
        /// The blocks that the token stands for, in its order.
        let ranges: [BlockRange]
    }

    private let entries = Mutex<[Entry]>([])
    private let conditions: UnitConditions
    private let now: @Sendable () -> UInt64

    init(conditions: UnitConditions, clock now: @escaping @Sendable () -> UInt64) {
        self.conditions = conditions
        self.now = now
    }

    /// Makes a token for `ranges`: its 512 bytes. The caller sees to it that nobody writes there meanwhile.
    ///
    /// Throws INSUFFICIENT RESOURCES TO CREATE ROD TOKEN when there are too many that live.
    func create(
        for ranges: [BlockRange], timeoutSeconds: UInt32, blockByteCount: Int, creator: DesignationDescriptor
    ) throws(SenseData) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        let byteCount = ranges.reduce(0) { $0 + $1.count } * UInt64(blockByteCount)
        let token = RODToken(
            identifier: generator.next(), byteCountRepresented: byteCount, blockByteCount: blockByteCount,
            creator: creator,
            secret: (0..<RODToken.secretByteCount).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
        let now = now()
        let bytes = token.bytes
        let isMade = entries.withLock { entries in
            defer { watch(entries) }
            Self.expire(&entries, at: now)
            guard entries.count(where: { $0.end == nil }) < TargetLimits.tokenCount else { return false }
            // The ends of old tokens are remembered as long as there is room.
            if entries.count >= 2 * TargetLimits.tokenCount, let oldest = entries.firstIndex(where: { $0.end != nil }) {
                entries.remove(at: oldest)
            }
            entries.append(
                Entry(
                    identifier: token.identifier, bytes: bytes, ranges: ranges,
                    timeoutSeconds: UInt64(timeoutSeconds), lastUse: now))
            return true
        }
        guard isMade else { throw .insufficientResourcesToCreateRODToken }
        return bytes
    }

    /// Begins the use of the token with these 512 bytes; nil when it is none of this unit's. Throws INVALID TOKEN
    /// OPERATION with the reason why it is not good.
    func begin(_ bytes: [UInt8], identifier: UInt64) throws(SenseData) -> Lease? {
        let now = now()
        let found: Result<Lease, SenseData>? = entries.withLock { entries in
            defer { watch(entries) }
            Self.expire(&entries, at: now)
            guard let index = entries.firstIndex(where: { $0.identifier == identifier }) else { return nil }
            guard RODToken.areEqual(entries[index].bytes, bytes) else { return .failure(.tokenCorrupt) }
            if let refusal = entries[index].refusal { return .failure(refusal) }
            entries[index].userCount += 1
            entries[index].lastUse = now
            return .success(Lease(identifier: identifier, ranges: entries[index].ranges))
        }
        return try found?.get()
    }

    /// Throws when the token has been written over since its use began: what was read may be newer than the token.
    func check(_ lease: Lease) throws(SenseData) {
        let refusal: SenseData? = entries.withLock { entries in
            guard let entry = entries.first(where: { $0.identifier == lease.identifier }) else { return .tokenRevoked }
            return entry.refusal
        }
        if let refusal { throw refusal }
    }

    /// Ends the use of a token; `deletes`: for ever.
    func end(_ lease: Lease, deletes: Bool) {
        let now = now()
        entries.withLock { entries in
            defer { watch(entries) }
            guard let index = entries.firstIndex(where: { $0.identifier == lease.identifier }) else { return }
            entries[index].userCount -= 1
            entries[index].lastUse = now
            if deletes, entries[index].end == nil { entries[index].end = .deleted }
        }
    }

    /// `range` is about to be written: no token for any of its blocks is good any more.
    func revoke(_ range: BlockRange) {
        let now = now()
        entries.withLock { entries in
            defer { watch(entries) }
            Self.expire(&entries, at: now)
            for index in entries.indices where entries[index].end == nil {
                if entries[index].ranges.contains(where: range.overlaps) { entries[index].end = .revoked }
            }
        }
    }

    private static func expire(_ entries: inout [Entry], at now: UInt64) {
        for index in entries.indices where entries[index].end == nil && entries[index].isOverdue(at: now) {
            entries[index].end = .expired
        }
    }

    private func watch(_ entries: borrowing [Entry]) {
        conditions.set(.tokensWatched, entries.contains { $0.end == nil })
    }
}
