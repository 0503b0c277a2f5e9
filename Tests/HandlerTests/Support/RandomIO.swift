// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import TargetCore
import Testing

/// A generator that a printed seed repeats (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    static var freshSeed: UInt64 { UInt64.random(in: 0...UInt64.max) }
}

/// Reads and writes at random places of a device, compared with a model in memory.
///
/// A round is one batch of requests that do not touch each other's blocks. Threads work in parts of their own.
enum RandomIO {
    static func run(
        on device: any BlockDevice, threads: Int = 3, rounds: Int = 40, widest: Int = 24, blockLimit: Int = 16,
        seed: UInt64 = SeededGenerator.freshSeed
    ) {
        let part = Int(device.blockCount) / threads
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            var worker = Worker(
                device: device, firstBlock: part * thread, blockCount: part,
                generator: SeededGenerator(seed: seed &+ UInt64(thread)))
            for round in 0..<rounds {
                let isRight = worker.round(widest: widest, blockLimit: blockLimit)
                guard isRight else {
                    Issue.record("wrong in round \(round) of thread \(thread), seed \(seed)")
                    return
                }
            }
        }
    }

    private struct Worker {
        let device: any BlockDevice
        let firstBlock: Int
        let model: UnsafeMutableRawBufferPointer
        let blockCount: Int
        var generator: SeededGenerator

        init(device: any BlockDevice, firstBlock: Int, blockCount: Int, generator: SeededGenerator) {
            self.device = device
            self.firstBlock = firstBlock
            self.blockCount = blockCount
            self.generator = generator
            // As long as the process: a test has few of them.
            model = .allocate(byteCount: blockCount * device.blockByteCount, alignment: 16)
            model.initializeMemory(as: UInt8.self, repeating: 0)
        }

        mutating func round(widest: Int, blockLimit: Int) -> Bool {
            let size = device.blockByteCount
            var taken = [Bool](repeating: false, count: blockCount)
            var requests: [(request: TestRequest, start: Int)] = []
            // Often one behind the other, so that there is something to merge.
            var next = 0
            for _ in 0..<Int.random(in: 1...widest, using: &generator) {
                let length = Int.random(in: 1...blockLimit, using: &generator)
                let isAdjacent = Bool.random(using: &generator)
                let start = isAdjacent ? next : Int.random(in: 0..<blockCount, using: &generator)
                guard start + length <= blockCount, !taken[start..<(start + length)].contains(true) else { continue }
                for block in start..<(start + length) { taken[block] = true }
                next = start + length
                let offset = UInt64((firstBlock + start) * size)
                if Bool.random(using: &generator) {
                    let bytes = (0..<(length * size)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                    requests.append((TestRequest(write: bytes, at: offset), start))
                } else {
                    requests.append((TestRequest(.read, at: offset, byteCount: length * size), start))
                }
            }
            let waiting = requests.filter { !$0.request.start(on: device) }
            device.submissionsEnded()
            for each in waiting { each.request.loop.wait(for: each.request.request) }
            return requests.allSatisfy { each in
                let request = each.request.request
                guard request.outcome == .good else { return false }
                let place = UnsafeMutableRawBufferPointer(
                    rebasing: model[(each.start * size)..<(each.start * size + request.buffer.count)])
                if request.operation == .read { return place.elementsEqual(request.buffer) }
                place.copyBytes(from: request.buffer)
                return true
            }
        }
    }
}
