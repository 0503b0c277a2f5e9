// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability {
    /// Reads leave from the device's memory and writes come in from the received batch: nobody must be able to tell.
    @Suite("Data without a copy", .onEachPoller)
    struct NoCopyTests {
        private static let oneLoop = ["--loops", "1"]
        private static let blockCount = 64

        @Test("An ORDERED write does not show in the data of the reads before it", arguments: [1, 5, 100])
        func orderedAfterReads(readCount: Int) throws {
            let server = try MartletServer("ram/64M", options: Self.oneLoop)
            let peer = try Peer(server.url)
            let old = Block.contents(lba: 0, blockCount: Self.blockCount, generation: 1)
            try write(old, lba: 0, peer)
            // All of it in one piece: the write runs while the data of the reads wait to be sent.
            let reads = (0..<readCount).map { _ in peer.read(lba: 0, blockCount: Self.blockCount) }
            let new = Block.contents(lba: 0, blockCount: 8, generation: 2)
            let change = peer.ordered(peer.write(lba: 0, blockCount: 8, data: new))
            try peer.connection.send((reads + [change]).flatMap { $0.encoded() })
            var data: [UInt32: [UInt8]] = [:]
            for pdu in try peer.drain() where pdu.opcode == WirePDU.Opcode.dataIn {
                data[pdu.initiatorTaskTag, default: []] += pdu.data
            }
            #expect(data.count == readCount)
            for read in reads { #expect(data[read.initiatorTaskTag] == old) }
            let last = peer.read(lba: 0, blockCount: 8)
            try peer.connection.send(last)
            #expect(try peer.receive { $0.opcode == WirePDU.Opcode.dataIn }.data == new)
            try server.stop()
        }

        @Test("A read between two ORDERED writes shows the first and not the second", arguments: 1...5)
        func readBetweenOrderedWrites(round: UInt64) throws {
            let server = try MartletServer("ram/256M", options: Self.oneLoop)
            let peer = try Peer(server.url)
            // Long work beside the loop has all that follow wait, and then run one after the other.
            let long = peer.zero(lba: 1000, blockCount: 60_000)
            let first = Block.contents(lba: 100, blockCount: 8, generation: 2 * round)
            let second = Block.contents(lba: 100, blockCount: 8, generation: 2 * round + 1)
            let before = peer.ordered(peer.write(lba: 100, blockCount: 8, data: first))
            let read = peer.read(lba: 100, blockCount: 8)
            let after = peer.ordered(peer.write(lba: 100, blockCount: 8, data: second))
            try peer.connection.send([long, before, read, after].flatMap { $0.encoded() })
            var data: [UInt8] = []
            var endedCount = 0
            while endedCount < 4 {
                let pdu = try peer.receive {
                    $0.opcode == WirePDU.Opcode.scsiResponse || $0.opcode == WirePDU.Opcode.dataIn
                }
                if pdu.opcode == WirePDU.Opcode.dataIn { data += pdu.data }
                // A Data-In of this length carries the status too.
                endedCount += 1
            }
            #expect(data == first)
            try server.stop()
        }

        @Test("A write that has to wait keeps its data, whatever comes in behind it", arguments: 1...5)
        func waitingWrite(round: Int) throws {
            let server = try MartletServer("ram/256M", options: Self.oneLoop)
            let peer = try Peer(server.url)
            let wanted = Block.contents(lba: 100, blockCount: 8, generation: UInt64(round))
            // The first is long work, done beside the loop; the ORDERED write waits for its end.
            let long = peer.zero(lba: 1000, blockCount: 60_000)
            let waiting = peer.ordered(peer.write(lba: 100, blockCount: 8, data: wanted))
            try peer.connection.send(long.encoded() + waiting.encoded())
            // What follows lands where the first batch was.
            for number in 0..<20 {
                let noise = Block.contents(lba: UInt64(200 + number * 8), blockCount: 8, generation: 7)
                try peer.connection.send(peer.write(lba: UInt64(200 + number * 8), blockCount: 8, data: noise))
            }
            var ended: Set<UInt32> = []
            while !ended.contains(waiting.initiatorTaskTag) {
                let response = try peer.receive { $0.opcode == WirePDU.Opcode.scsiResponse }
                #expect(response.header[3] == Outcome.good)
                ended.insert(response.initiatorTaskTag)
            }
            _ = try peer.drain()
            try peer.connection.send(peer.read(lba: 100, blockCount: 8))
            #expect(try peer.receive { $0.opcode == WirePDU.Opcode.dataIn }.data == wanted)
            try server.stop()
        }

        private func write(_ data: [UInt8], lba: UInt64, _ peer: Peer) throws {
            for start in stride(from: 0, to: data.count, by: 4096) {
                let piece = [UInt8](data[start..<start + 4096])
                let command = peer.write(
                    lba: lba + UInt64(start / Block.byteCount), blockCount: 4096 / Block.byteCount, data: piece)
                try peer.connection.send(command)
                let response = try peer.receive { $0.opcode == WirePDU.Opcode.scsiResponse }
                #expect(response.header[3] == Outcome.good)
            }
        }
    }
}
