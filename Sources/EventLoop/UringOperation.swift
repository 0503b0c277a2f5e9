// SPDX-License-Identifier: Apache-2.0

/// What a request to io_uring was for: travels through the kernel as its user data.
struct UringOperation: Equatable {
    enum Kind: UInt8 {
        /// Its completion tells nothing.
        case ignored = 0
        /// A descriptor's readiness; the index is the descriptor.
        case poll
        /// Of a stream; the index is its slot.
        case receive, room, hangup
    }

    let rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }

    /// `generation` tells this user of `index` from those before; 24 bits of it count.
    init(_ kind: Kind, index: Int, generation: UInt32) {
        rawValue = UInt64(kind.rawValue) << 56 | UInt64(generation & 0xFF_FFFF) << 32 | UInt64(UInt32(index))
    }

    static let ignored = UringOperation(rawValue: 0)

    var kind: Kind { Kind(rawValue: UInt8(rawValue >> 56)) ?? .ignored }
    var index: Int { Int(rawValue & 0xFFFF_FFFF) }

    func isOf(generation: UInt32) -> Bool { UInt32(rawValue >> 32) & 0xFF_FFFF == generation & 0xFF_FFFF }
}
