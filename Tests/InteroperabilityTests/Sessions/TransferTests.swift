// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Data transfer at error recovery level 0, in every combination that the keys allow.
    @Suite("Sessions: data transfer")
    struct TransferTests {
        struct Keys: CustomTestStringConvertible {
            let initialR2T: Bool
            let immediateData: Bool
            let firstBurst: Int
            let maxBurst: Int
            let outstandingR2Ts: Int
            let digests: Bool

            var testDescription: String {
                "R2T \(initialR2T) immediate \(immediateData) \(firstBurst)/\(maxBurst) x\(outstandingR2Ts) \(digests)"
            }
        }

        static let combinations: [Keys] = [true, false].flatMap { initialR2T in
            [true, false].flatMap { immediate in
                [(512, 512), (512, 65536), (4096, 8192), (65536, 262_144)].flatMap { first, burst in
                    [1, 8].map {
                        Keys(
                            initialR2T: initialR2T, immediateData: immediate, firstBurst: first, maxBurst: burst,
                            outstandingR2Ts: $0, digests: $0 == 8)
                    }
                }
            }
        }

        @Test("Every combination of keys moves data of every length, and every field is the RFC's")
        func combinations() throws {
            let server = try MartletServer("ram/4M")
            for keys in Self.combinations {
                let session = try server.url.session {
                    $0.initialR2T = keys.initialR2T
                    $0.immediateData = keys.immediateData
                    $0.firstBurstLength = keys.firstBurst
                    $0.maxBurstLength = keys.maxBurst
                    $0.maxOutstandingR2T = keys.outstandingR2Ts
                    $0.maxRecvDataSegmentLength = keys.digests ? 1024 : 8192
                    $0.headerDigest = keys.digests ? "CRC32C" : "None"
                    $0.dataDigest = keys.digests ? "CRC32C,None" : "None"
                }
                #expect(session.negotiated.initialR2T == keys.initialR2T, "\(keys)")
                #expect(session.negotiated.immediateData == keys.immediateData, "\(keys)")
                for blockCount in [1, 2, 15, 16, 17, 128, 129, 600] {
                    try session.expectData(lba: 8, blockCount: blockCount, generation: UInt64(blockCount))
                }
                #expect(try session.ping([1, 2, 3, 4, 5]) == [1, 2, 3, 4, 5])
                #expect(try session.logout().response == 0)
            }
            try server.stop()
        }
    }
}
