// SPDX-License-Identifier: Apache-2.0

/// A configuration string, `SUBTYPE/REST`.
public struct StoreConfiguration: Equatable, Sendable {
    /// What stands before the first /.
    public let subtype: String
    /// What stands behind it.
    public let rest: String

    /// Takes `SUBTYPE/REST` apart; without a / there is no rest.
    public init(_ string: String) {
        let slash = string.firstIndex(of: "/")
        subtype = String(string[..<(slash ?? string.endIndex)])
        rest = slash.map { String(string[string.index(after: $0)...]) } ?? ""
    }
}

/// What is known of a store before it is opened.
public struct StoreDescription: Equatable, Sendable {
    /// Nil: the size must be configured.
    public var byteCount: UInt64?
    /// Nil: the store has no block size of its own.
    public var blockByteCount: UInt32?
    /// The store is missing, and `init` creates it with the configured size.
    public var willCreate: Bool
    /// The store can only be read.
    public var isReadOnly: Bool

    /// Tells what is given; nothing else is known.
    public init(
        byteCount: UInt64? = nil, blockByteCount: UInt32? = nil, willCreate: Bool = false, isReadOnly: Bool = false
    ) {
        self.byteCount = byteCount
        self.blockByteCount = blockByteCount
        self.willCreate = willCreate
        self.isReadOnly = isReadOnly
    }
}
