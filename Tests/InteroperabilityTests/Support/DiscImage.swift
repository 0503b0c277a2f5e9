// SPDX-License-Identifier: Apache-2.0

/// An ISO 9660 volume (ECMA-119) with one file, FILE.BIN, written out byte by byte: 16 blocks of system area, the
/// primary volume descriptor, the terminator, a path table in both byte orders, the root directory, the file.
enum DiscImage {
    static let blockCount = 100
    static let file = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

    private static let block = 2048
    private static let littlePathTable = 18
    private static let bigPathTable = 19
    private static let root = 20
    private static let fileBlock = 21

    static let bytes: [UInt8] = {
        var image = [UInt8](repeating: 0, count: blockCount * block)
        func put(_ bytes: [UInt8], at offset: Int) { image.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
        put(primaryDescriptor, at: 16 * block)
        put([255] + Array("CD001".utf8) + [1], at: 17 * block)
        let little: [UInt8] = [1, 0] + both(root, 4).prefix(4) + [1, 0, 0, 0]
        let big: [UInt8] = [1, 0] + both(root, 4).suffix(4) + [0, 1, 0, 0]
        put(little, at: littlePathTable * block)
        put(big, at: bigPathTable * block)
        let directory =
            record(root, block, isFolder: true, name: [0]) + record(root, block, isFolder: true, name: [1])
            + record(fileBlock, file.count, isFolder: false, name: Array("FILE.BIN;1".utf8))
        put(directory, at: root * block)
        put(file, at: fileBlock * block)
        return image
    }()

    private static var primaryDescriptor: [UInt8] {
        var bytes: [UInt8] = [1] + Array("CD001".utf8) + [1, 0]
        bytes += text("LINUX", 32) + text("MARTLET", 32) + zeroes(8)
        bytes += both(blockCount, 4) + zeroes(32)
        // Volumes in the set, number of this one, bytes of a block, bytes of the path table.
        bytes += both(1, 2) + both(1, 2) + both(block, 2) + both(10, 4)
        bytes += both(littlePathTable, 4).prefix(4) + zeroes(4) + both(bigPathTable, 4).suffix(4) + zeroes(4)
        bytes += record(root, block, isFolder: true, name: [0])
        bytes += text("", 4 * 128 + 3 * 37)
        for _ in 0..<4 { bytes += text("", 16).map { _ in UInt8(ascii: "0") } + [0] }
        return bytes + [1, 0]
    }

    /// A directory record (ECMA-119 9.1).
    private static func record(_ place: Int, _ byteCount: Int, isFolder: Bool, name: [UInt8]) -> [UInt8] {
        let padding = name.count % 2 == 0 ? 1 : 0
        let length = 33 + name.count + padding
        return [UInt8(length), 0] + both(place, 4) + both(byteCount, 4) + [126, 1, 1, 0, 0, 0, 0]
            + [isFolder ? 2 : 0, 0, 0] + both(1, 2) + [UInt8(name.count)] + name + zeroes(padding)
    }

    /// A number in both byte orders, little-endian first (ECMA-119 7.2.3, 7.3.3).
    private static func both(_ value: Int, _ byteCount: Int) -> [UInt8] {
        let big = bigEndian(UInt64(value), count: byteCount)
        return big.reversed() + big
    }

    private static func text(_ text: String, _ byteCount: Int) -> [UInt8] {
        Array(text.utf8) + [UInt8](repeating: UInt8(ascii: " "), count: byteCount - text.utf8.count)
    }

    private static func zeroes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
}
