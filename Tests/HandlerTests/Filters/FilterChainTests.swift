// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// What every filter carries through, and what it means to have several, shown with `fault`.
@Suite("Filters over a device")
struct FilterChainTests {
    private let memory = MemoryDevice()
    private static let context = FilterContext(deviceName: "memory", diagnostics: .silent)

    private func chain(_ text: String, over inner: any BlockDevice) throws -> FilterChain {
        let specifications = try FilterChainText.split(text + "ram/1").filters
        return try #require(try FilterChain.build(specifications, over: inner, Self.context))
    }

    @Test("No filters are no chain: the core asks the store's device itself")
    func none() throws {
        #expect(try FilterChain.build([], over: memory, Self.context) == nil)
    }

    @Test("Geometry, features and the ends of turns pass through, and follow the store when it changes")
    func properties() throws {
        memory.features.passthrough = .first
        memory.features.unmapGranularity = 8
        let chain = try chain("fault:error=1%+fault:delay=1us+", over: memory)
        defer { chain.close() }
        #expect(chain.device.features == memory.features && chain.device.blockByteCount == 512)
        #expect(chain.device.blockCount == 256)
        memory.blockCount = 128
        memory.features.hasVolatileWriteCache = true
        memory.features.isReadOnly = true
        #expect(chain.device.blockCount == 128 && chain.device.features == memory.features)
        chain.device.submissionsEnded()
        #expect(memory.turnCount == 1)
    }

    @Test("Data do not pass by a filter: nothing is mapped, and no write is taken from the batch")
    func mapping() throws {
        let chain = try chain("fault:error=1%+", over: memory)
        defer { chain.close() }
        #expect(memory.canMapReads && !chain.device.canMapReads)
        #expect(memory.copiesWrites && !chain.device.copiesWrites)
        #expect(chain.device.mapRead(byteOffset: 0, byteCount: 512) == nil)
    }

    @Test("Questions reach the store whole, and its answers come back whole")
    func wholeRequests() throws {
        let chain = try chain("fault:delay=1us+fault:reorder=2,reorder-hold=1us+", over: memory)
        defer { chain.close() }
        memory.answer = { request in
            switch request.operation {
            case .blockStatus:
                request.extents = [BlockStatusExtent(byteCount: request.extentByteCount, isMapped: true)]
                return .good
            case .passthrough:
                request.storeSense = Array(request.cdb.bytes(6))
                request.transferredByteCount = request.buffer.count
                return .failedWithStoreSense
            case .compareAndWrite: return .miscompare(atByte: request.byteOffset + request.extentByteCount)
            case .writeSame: return .failed(.taskSetFull, nil)
            case .writeZeroes: return request.mayUnmap ? .good : .failed(.busy, nil)
            default: return .notHandled
            }
        }
        let status = TestRequest(.blockStatus, at: 512, extent: 8192)
        for _ in 0..<3 {
            #expect(status.run(on: chain.device) == .good)
            #expect(status.request.extents == [BlockStatusExtent(byteCount: 8192, isMapped: true)])
        }
        let command = TestRequest(cdb: [1, 2, 3, 4, 5, 6], byteCount: 100)
        #expect(command.run(on: chain.device) == .failedWithStoreSense)
        #expect(command.request.storeSense == [1, 2, 3, 4, 5, 6] && command.request.transferredByteCount == 100)
        let compare = TestRequest(.compareAndWrite, at: 1024, byteCount: 1024, extent: 512)
        #expect(compare.run(on: chain.device) == .miscompare(atByte: 1536))
        #expect(
            TestRequest(.writeSame, byteCount: 512, extent: 4096).run(on: chain.device) == .failed(.taskSetFull, nil))
        #expect(TestRequest(.unmap, extent: 4096).run(on: chain.device) == .notHandled)
        let zeroes = TestRequest(.writeZeroes, extent: 4096)
        #expect(zeroes.run(on: chain.device) == .failed(.busy, nil))
        zeroes.request.mayUnmap = true
        #expect(zeroes.run(on: chain.device) == .good)
        // A child that was used for a command with sense data has none for the next.
        memory.answer = { _ in .good }
        for _ in 0..<4 {
            let next = TestRequest(cdb: [0, 0, 0, 0, 0, 0])
            #expect(next.run(on: chain.device) == .good)
            #expect(next.request.storeSense.isEmpty && next.request.transferredByteCount == nil)
        }
    }

    @Test("A cancelled request is cancelled at the store, through all filters, and no other one")
    func cancel() throws {
        let chain = try chain("fault:error=1/1000000000+fault:error=1/1000000000+", over: memory)
        defer { chain.close() }
        memory.ending = .deferred
        let requests = (1...3).map { TestRequest(.read, at: UInt64($0) * 512, byteCount: 512) }
        for request in requests { #expect(!request.start(on: chain.device)) }
        requests[1].request.cancel(on: chain.device)
        #expect(memory.cancelled == [1024])
        chain.device.cancelIfOverdue(requests[2].request)
        #expect(memory.cancelled == [1024, 1536])
        memory.completeAll()
        for request in requests { request.loop.wait(for: request.request) }
        requests[1].request.cancel(on: chain.device)
        chain.device.cancelIfOverdue(requests[0].request)
        #expect(memory.cancelled.count == 2)
        // Their children serve others, who are not cancelled.
        memory.ending = .inline
        #expect(chain.device.read(512, at: 0).outcome == .good)
        #expect(memory.asked.count == 4)
    }

    @Test("Cancelling beside requests that come and go never meets another's, and loses none")
    func cancelRace() throws {
        memory.ending = .onOtherThread
        let chain = try chain("fault:delay=0us..50us+", over: memory)
        DispatchQueue.concurrentPerform(iterations: 2) { thread in
            let request = TestRequest(.read, at: UInt64(thread + 1) * 512, byteCount: 512)
            for _ in 0..<300 {
                if !request.start(on: chain.device) {
                    request.request.cancel(on: chain.device)
                    request.loop.wait(for: request.request)
                }
            }
        }
        #expect(memory.asked.count == 600)
        #expect(memory.cancelled.allSatisfy { [512, 1024].contains($0) })
        chain.close()
    }

    @Test("Commands meet the first filter of a chain first, and counters of a kind are added up")
    func order() throws {
        let chain = try chain("fault:error=100%,max=1+fault:error=100%,error-status=busy+", over: memory)
        defer { chain.close() }
        #expect(chain.filters.count == 2 && chain.warnings.count == 2)
        #expect(chain.device.read(512, at: 0).outcome == .failed(.checkCondition, .unrecoveredReadError(lba: 0)))
        #expect(chain.device.read(512, at: 0).outcome == .failed(.busy, nil))
        #expect(chain.counters["faultErrors"] == 2)
        #expect(memory.asked.isEmpty)
    }

    @Test("A chain whose filter cannot be made leaves none behind")
    func failure() {
        #expect(throws: FilterError.self) { try chain("fault:range=999..1000,error=1%+fault:hang=1%+", over: memory) }
    }

    @Test("The warning names the device, the options and the seed, given or drawn")
    func warning() throws {
        let chain = try chain("fault:error=1%,seed=42+fault:error=2%+", over: memory)
        defer { chain.close() }
        let drawn = try #require(chain.filters[1] as? FaultFilter).seed
        #expect(chain.warnings[0].contains("memory has the filter fault:error=1%,seed=42 (seed 42)"))
        #expect(chain.warnings[1].contains("fault:error=2% (seed \(drawn))"))
    }
}

extension CommandDescriptorBlock {
    fileprivate func bytes(_ count: Int) -> [UInt8] { (0..<count).map { self[$0] } }
}
