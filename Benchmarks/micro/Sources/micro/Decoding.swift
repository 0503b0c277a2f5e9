// SPDX-License-Identifier: Apache-2.0

import ISCSI
import SCSI

/// What is done with every command's bytes.
enum Decoding {
    /// A READ(10) of eight blocks, as it comes over the wire.
    private static func command(at lba: UInt32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: BasicHeaderSegment.byteCount)
        bytes[0] = 0x01
        bytes[1] = 0xC1  // final, read, simple
        bytes[22] = 0x10  // expects 4096 bytes
        bytes[32] = 0x28
        for index in 0..<4 { bytes[34 + index] = UInt8(truncatingIfNeeded: lba >> UInt32(24 - 8 * index)) }
        bytes[40] = 8
        return bytes
    }

    static func measure(_ measure: Measure) -> [Measure.Entry] {
        let batch = (0..<32).flatMap { command(at: UInt32($0) * 8) }
        let framer = PDUFramer()
        var entries: [Measure.Entry] = []
        entries.append(
            measure("pdu-decode", "cut and decode a SCSI Command PDU") { index in
                let offset = index % 32 * BasicHeaderSegment.byteCount
                let bytes = batch.span.bytes.extracting(offset..<batch.count)
                guard case .whole(let frame)? = try? framer.next(bytes),
                    let pdu = try? SCSICommandPDU(bytes.extracting(first: frame.totalByteCount))
                else { fatalError("the microbenchmark's PDU is wrong") }
                use(pdu)
            })
        let cdbs = (0..<32).map { CommandDescriptorBlock(Array(command(at: UInt32($0) * 8)[32..<42]))! }
        entries.append(
            measure("cdb-decode", "decode a READ(10) and check its range") { index in
                let access = BlockAccess(tenByte: cdbs[index % 32])
                guard access.range.isWithin(blockCount: 1 << 21) else { fatalError("out of range") }
                use(access.range.byteExtent(blockByteCount: 512))
            })
        let block = [UInt8](repeating: 0x5A, count: 4096)
        entries.append(
            measure("crc32c", "CRC32C of 4 KiB", scale: 10) { _ in use(CRC32C.of(block.span.bytes)) })
        let header = command(at: 8)
        entries.append(
            measure("crc32c-header", "CRC32C of a header") { _ in use(CRC32C.of(header.span.bytes)) })
        return entries
    }
}
