// SPDX-License-Identifier: Apache-2.0

/// Serial numbers that are the same at every start, and different for different devices. The designators of VPD page
/// 83h follow from them.
///
/// Initiators take two paths with one identifier for two ways to one disk and spread writes over both. So whatever
/// names a device goes into its serial number, and where that name is the same on many machines (the default target),
/// the machine's own identity goes in too.
public enum DeviceIdentity {
    private static let digitCount = 16

    /// 16 hexadecimal digits. `machine` tells this machine from others; it counts only for the default target.
    public static func serial(targetName: String, deviceName: String, machine: String) -> String {
        var parts = [targetName, deviceName]
        if targetName == Configuration.defaultTargetName { parts.append(machine) }
        let digits = String(StableHash.of(parts), radix: 16)
        return String(repeating: "0", count: digitCount - digits.count) + digits
    }
}

/// A hash that is the same in every process, on every machine and in every release: Swift's own is none of these.
enum StableHash {
    private static let offsetBasis: UInt64 = 0xCBF2_9CE4_8422_2325
    private static let prime: UInt64 = 0x0000_0100_0000_01B3

    /// FNV-1a over the parts, each ended by a byte that UTF-8 never has; then a finalizer, because FNV leaves the high
    /// bits of short texts alike.
    static func of(_ parts: [String]) -> UInt64 {
        var hash = offsetBasis
        for part in parts {
            for byte in part.utf8 { mix(byte, into: &hash) }
            mix(0xFF, into: &hash)
        }
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        return hash ^ hash >> 31
    }

    private static func mix(_ byte: UInt8, into hash: inout UInt64) {
        hash = (hash ^ UInt64(byte)) &* prime
    }
}
