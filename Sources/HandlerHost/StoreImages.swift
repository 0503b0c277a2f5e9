// SPDX-License-Identifier: Apache-2.0

/// A number in the head of an image.
private func number(_ bytes: [UInt8], at offset: Int, byteCount: Int) -> UInt64 {
    bytes[offset..<offset + byteCount].reduce(0) { $0 << 8 | UInt64($1) }
}

private func read(_ path: String, at offset: UInt64, byteCount: Int) throws(HandlerDeviceError) -> [UInt8] {
    do throws(SystemFiles.Failure) {
        return try SystemFiles.read(path, at: offset, byteCount: byteCount)
    } catch {
        throw .unreadable(path: path, reason: error.description)
    }
}

/// A qcow image, of which tcmu-runner's handler knows version 1 and most of version 2. What it would misread is
/// refused, and what it would damage when it writes is served only when it does not.
///
/// The header (QEMU, docs/interop/qcow2), big-endian: magic 0 to 3, version 4 to 7, name of the backing file 8 to 19,
/// cluster bits 20 to 23, size 24 to 31, L1 table 36 to 47, snapshots 60 to 63; in version 3 also incompatible
/// features 72 to 79 and autoclear features 88 to 95.
enum QCOWImage {
    private static let headByteCount = 104
    private static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xFB]
    private static let clusterBits: ClosedRange<UInt64> = 9...21
    /// Entries of the largest L1 table that is looked through: 2 PiB in clusters of 64 KiB.
    private static let maximumL1Count: UInt64 = 4 << 20
    private static let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00
    /// In the first and in the last byte of an entry.
    private static let compressedBit: UInt8 = 0x40
    private static let zeroBit: UInt8 = 0x01

    /// Bytes of the disk in it; nil when the file is no qcow image, and the handler serves it as it is.
    static func byteCount(_ path: String, isReadOnly: Bool) throws(HandlerDeviceError) -> UInt64? {
        var head = try read(path, at: 0, byteCount: headByteCount)
        guard head.count >= 48, head[..<4].elementsEqual(magic) else { return nil }
        head += [UInt8](repeating: 0, count: headByteCount - head.count)
        let version = number(head, at: 4, byteCount: 4)
        guard (1...3).contains(version) else { return nil }
        if !isReadOnly, let reason = danger(ofWriting: head, version) {
            throw .storeUnsafe(path: path, reason: reason)
        }
        if version >= 2, let reason = try misreading(path, head) {
            throw .storeUnsafe(
                path: path,
                reason: "holds \(reason), which the handler misreads: convert it with "
                    + "qemu-img convert -O qcow2 -o compat=0.10")
        }
        return number(head, at: 24, byteCount: 8)
    }

    private static func danger(ofWriting head: [UInt8], _ version: UInt64) -> String? {
        if number(head, at: 8, byteCount: 8) != 0, number(head, at: 16, byteCount: 4) != 0 {
            return "has a backing file, whose data the handler loses when it writes a part of a cluster: serve it "
                + "readonly, or make it whole with qemu-img rebase -b ''"
        }
        guard version >= 2 else { return nil }
        if number(head, at: 60, byteCount: 4) != 0 {
            return "holds snapshots, which the handler damages when it writes: serve it readonly, or delete them with "
                + "qemu-img snapshot -d"
        }
        if version == 3, number(head, at: 88, byteCount: 8) != 0 {
            return "holds bitmaps, which the handler does not keep: serve it readonly, or remove them with "
                + "qemu-img bitmap --remove"
        }
        return nil
    }

    /// A feature that a reader must know, clusters that are compressed, or clusters that are marked to read as zeroes:
    /// the handler takes the mark for a part of the cluster's address.
    private static func misreading(_ path: String, _ head: [UInt8]) throws(HandlerDeviceError) -> String? {
        let isThird = number(head, at: 4, byteCount: 4) == 3
        if isThird, number(head, at: 72, byteCount: 8) != 0 { return "incompatible features" }
        let bits = number(head, at: 20, byteCount: 4)
        let count = number(head, at: 36, byteCount: 4)
        // The handler refuses these by itself.
        guard clusterBits.contains(bits), count <= maximumL1Count else { return nil }
        let table = try read(path, at: number(head, at: 40, byteCount: 8), byteCount: Int(count) * 8)
        for start in stride(from: 0, to: table.count & ~7, by: 8) {
            let offset = number(table, at: start, byteCount: 8) & offsetMask
            guard offset != 0 else { continue }
            if let reason = mark(in: try read(path, at: offset, byteCount: 1 << Int(bits))) { return reason }
        }
        return nil
    }

    /// Of an L2 table, whose entries are eight bytes long.
    private static func mark(in table: [UInt8]) -> String? {
        for start in stride(from: 0, to: table.count & ~7, by: 8) {
            if table[start] & compressedBit != 0 { return "compressed clusters" }
            if table[start + 7] & zeroBit != 0 { return "clusters marked as zeroes" }
        }
        return nil
    }
}

/// The file of tcmu-runner's zoned handler: its own data in front, then the medium. In the machine's byte order: magic 0
/// to 3, blocks 8 to 15, bytes of a block 16 to 19.
enum ZonedImage {
    private static let headByteCount = 20
    /// "CBZU" as it stands in the file of a little-endian machine.
    private static let magic: UInt32 = 0x555A_4243

    /// Bytes of the medium in it; nil for an empty file, which the handler formats. Given options it formats whatever
    /// is there, at each start; without them, whatever is no store of its own.
    static func byteCount(
        _ path: String, fileByteCount: UInt64, isToBeFormatted: Bool
    ) throws(HandlerDeviceError) -> UInt64? {
        guard fileByteCount > 0 else { return nil }
        let head = try read(path, at: 0, byteCount: headByteCount)
        guard head.count == headByteCount, word(head, at: 0) == magic else {
            throw .storeUnsafe(
                path: path,
                reason: "is no zoned store, and the handler would format it: name another file, or remove this one")
        }
        guard !isToBeFormatted else {
            throw .storeUnsafe(
                path: path,
                reason: "holds a zoned store, which the handler formats anew at each start when it is given options: "
                    + "write zbc/\(path) to serve it, or remove it to have another made")
        }
        let blockCount = UInt64(word(head, at: 8)) | UInt64(word(head, at: 12)) << 32
        let (byteCount, overflow) = blockCount.multipliedReportingOverflow(by: UInt64(word(head, at: 16)))
        // The handler formats a store whose size is not what its head says.
        guard !overflow, byteCount > 0, byteCount < fileByteCount else {
            throw .storeUnsafe(
                path: path, reason: "is a damaged zoned store, and the handler would format it: name another file")
        }
        return byteCount
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
}
