// SPDX-License-Identifier: Apache-2.0

import ISCSI
import SCSI
import Testing

/// A small random number generator whose seed says everything.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }

    mutating func word() -> UInt32 { UInt32.random(in: .min ... .max, using: &self) }

    /// Any tag but the reserved one.
    mutating func tag() -> UInt32 { UInt32.random(in: 0..<UInt32.max, using: &self) }

    mutating func half() -> UInt16 { UInt16.random(in: .min ... .max, using: &self) }

    mutating func byte() -> UInt8 { UInt8.random(in: .min ... .max, using: &self) }

    mutating func flag() -> Bool { Bool.random(using: &self) }

    mutating func length() -> UInt32 { UInt32.random(in: 0...0xFF_FFFF, using: &self) }

    mutating func lun() -> LogicalUnitNumber {
        LogicalUnitNumber(rawValue: UInt64.random(in: .min ... .max, using: &self))
    }

    mutating func numbers() -> SequenceNumbers {
        SequenceNumbers(statSN: word(), expCmdSN: word(), maxCmdSN: word())
    }

    mutating func residual() -> Residual.Amount {
        switch Int.random(in: 0..<3, using: &self) {
        case 0: .none
        case 1: .underflow(word())
        default: .overflow(word())
        }
    }
}

/// Seeds of random tests: some that never change and one that always does. A failure names the seed.
enum Seeds {
    static let some: [UInt64] = {
        let fresh = UInt64.random(in: .min ... .max)
        print("random tests of ISCSI use the seed \(fresh)")
        return [1, 2, 3, fresh]
    }()
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

func bytes(hexadecimal text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// A PDU as it stands on the wire, with or without digests.
func wire(
    header: [UInt8], ahs: [UInt8] = [], data: [UInt8] = [], headerDigest: Bool = false, dataDigest: Bool = false
) -> [UInt8] {
    var header = header
    header[4] = UInt8(ahs.count / 4)
    header[5] = UInt8(data.count >> 16)
    header[6] = UInt8(data.count >> 8 & 0xFF)
    header[7] = UInt8(data.count & 0xFF)
    var result = header + ahs
    if headerDigest { result += digest(result) }
    let padded = data + [UInt8](repeating: 0, count: -data.count & 3)
    result += padded
    if dataDigest && !data.isEmpty { result += digest(padded) }
    return result
}

func digest(_ bytes: [UInt8]) -> [UInt8] {
    let value = CRC32C.of(bytes.span.bytes)
    return (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}
