// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Bytes written as in the standards' tables: two digits each, white space between.
func hex(_ text: String) -> [UInt8] {
    text.split(whereSeparator: \.isWhitespace).map { UInt8($0, radix: 16)! }
}

/// More than any parameter data of these tests.
let ampleByteCount = 4096

func written(_ body: (inout ParameterDataWriter) -> Void) -> [UInt8] {
    [UInt8](allocationLength: ampleByteCount, writing: body)
}

/// Whether every allocation length gives a prefix of the whole, as long as it can be.
func isCutOffCleanly(_ body: (inout ParameterDataWriter) -> Void) -> Bool {
    let whole = written(body)
    return (0...whole.count + 1).allSatisfy { length in
        [UInt8](allocationLength: length, writing: body) == Array(whole.prefix(length))
    }
}

/// The sense data that `body` throws; nil when it does not.
func refusal<Value>(_ body: () throws(SenseData) -> Value) -> SenseData? {
    do {
        _ = try body()
        return nil
    } catch {
        return error
    }
}

/// A repeatable source of random bits; tests print its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }
}
