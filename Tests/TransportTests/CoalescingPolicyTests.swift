// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport

@Suite("CoalescingPolicy")
struct CoalescingPolicyTests {
    @Test(
        "the words of the settings",
        arguments: [
            ("off", CoalescingPolicy.off), ("turn", .turn), ("adaptive", .adaptive(.standard)), ("classic", .classic),
        ])
    func words(_ word: String, _ policy: CoalescingPolicy) throws {
        #expect(try CoalescingPolicy(parsing: word) == policy)
        #expect(policy.name == word)
    }

    @Test(
        "other words are refused, and the answer names those that are known",
        arguments: [
            "", "on", "Off", " turn", "adaptive ", "nagle", "adaptive(30)",
        ])
    func badWords(_ word: String) {
        let error = #expect(throws: CoalescingSettingError.self) { try CoalescingPolicy(parsing: word) }
        #expect(error == .unknownPolicy(word))
        for known in ["off", "turn", "adaptive", "classic"] {
            #expect(error?.description.contains(known) == true)
        }
    }

    @Test(
        "bounds within range are taken as they are",
        arguments: [
            (0, 512), (30, 64 * 1024), (1_000, 16 << 20),
        ])
    func goodBounds(_ microseconds: Int, _ byteLimit: Int) throws {
        let bounds = try CoalescingBounds(maximumHoldMicroseconds: microseconds, byteLimit: byteLimit)
        #expect(bounds.maximumHoldNanoseconds == UInt64(microseconds) * 1_000)
        #expect(bounds.byteLimit == byteLimit)
        #expect(try CoalescingPolicy(parsing: "adaptive", bounds: bounds) == .adaptive(bounds))
    }

    @Test("a hold out of range is refused", arguments: [-1, 1_001, .min, .max])
    func badHold(_ microseconds: Int) {
        let error = #expect(throws: CoalescingSettingError.self) {
            try CoalescingBounds(maximumHoldMicroseconds: microseconds)
        }
        #expect(error == .maximumHoldOutOfRange(microseconds))
        #expect(error?.description.contains("0 to 1000") == true)
    }

    @Test("a byte limit out of range is refused", arguments: [-1, 0, 511, 16 << 20 + 1, .min, .max])
    func badByteLimit(_ byteLimit: Int) {
        let error = #expect(throws: CoalescingSettingError.self) { try CoalescingBounds(byteLimit: byteLimit) }
        #expect(error == .byteLimitOutOfRange(byteLimit))
    }

    @Test("the standard is 30 µs and 64 KiB")
    func standard() throws {
        #expect(try CoalescingBounds() == .standard)
        #expect(CoalescingBounds.standard.maximumHoldNanoseconds == 30_000)
        #expect(CoalescingBounds.standard.byteLimit == 65_536)
    }
}
