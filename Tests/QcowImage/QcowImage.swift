// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What Debian's qcow handler is tried on.
public enum QcowImage {
    /// Makes an image, version 2, of `byteCount` with nothing in it: header, table of clusters, reference counts.
    public static func make(_ path: String, byteCount: UInt64) throws {
        let cluster = 65536
        var image = [UInt8](repeating: 0, count: 4 * cluster)
        func put(_ value: UInt64, _ byteCount: Int, at offset: Int) {
            for index in 0..<byteCount {
                image[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (byteCount - 1 - index)))
            }
        }
        put(0x5146_49FB, 4, at: 0)
        put(2, 4, at: 4)
        put(16, 4, at: 20)
        put(byteCount, 8, at: 24)
        put(1, 4, at: 36)
        put(UInt64(3 * cluster), 8, at: 40)
        put(UInt64(cluster), 8, at: 48)
        put(1, 4, at: 56)
        put(UInt64(2 * cluster), 8, at: cluster)
        for index in 0..<4 { put(1, 2, at: 2 * cluster + 2 * index) }
        try Data(image).write(to: URL(fileURLWithPath: path))
    }
}
