// SPDX-License-Identifier: Apache-2.0

/// Random bits by name instead of by order: the same seed, purpose and number give the same bits, whoever asks first.
public struct FaultRandom: Equatable, Sendable {
    /// What a draw is for: the draws of one command are independent of each other.
    public enum Purpose: UInt64, Sendable {
        case delay = 1
        case delayLength, error, short, corrupt, hang, late, loseFlush, detail, order
    }

    public let seed: UInt64

    public init(seed: UInt64) { self.seed = seed }

    public func bits(_ purpose: Purpose, _ number: UInt64) -> UInt64 {
        Self.mix(Self.mix(seed &+ purpose.rawValue &* 0xD1B5_4A32_D192_ED03) &+ number &* 0x9E37_79B9_7F4A_7C15)
    }

    /// 0 up to `limit`, without `limit`, which is above 0; each as likely as the others but for 1 in 2^64.
    public static func below(_ limit: UInt64, _ bits: UInt64) -> UInt64 { bits.multipliedFullWidth(by: limit).high }

    /// The finalizer of SplitMix64: every bit of the result depends on every bit of `value`.
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
