// SPDX-License-Identifier: Apache-2.0

import Dispatch
import HandlerHost
import SCSI
import TargetCore
import Testing

/// HandlerKit, blocking and asynchronous alike.
struct HandlerKitTests {
    @Test("What a handler can do follows from the protocols that it conforms to", arguments: KitPlugin.allCases)
    func capabilities(_ plugin: KitPlugin) throws {
        let handler = try plugin.handler
        #expect(handler.canFlush && handler.canUnmap && handler.canWriteSame && handler.canCompareAndWrite)
        #expect(handler.canResize && handler.canReportBlockStatus && handler.takesCDBs && !handler.takesOnlyCDBs)
        #expect(handler.threadCount == (plugin == .blocking ? 4 : 0))
        let device = try plugin.open()
        defer { device.close() }
        #expect(device.features.unmappedReadsZero && device.features.passthrough == .first)
        let file = try Plugins.handler("file")
        #expect(!file.canCompareAndWrite && !file.canResize && !file.takesCDBs && file.canWriteSame)
    }

    @Test("What is written is read, on any number of threads", arguments: KitPlugin.allCases)
    func randomIO(_ plugin: KitPlugin) throws {
        let seed = SeededGenerator.freshSeed
        print("seed \(seed)")
        let collector = Collector()
        let device = try plugin.open("", collector)
        RandomIO.run(on: device, seed: seed)
        device.close()
        #expect(collector.count(of: "that is ignored") == 0)
    }

    @Test("Attributes that are set in init are the device's", arguments: KitPlugin.allCases)
    func attributes(_ plugin: KitPlugin) throws {
        let cached = try plugin.open("cache")
        defer { cached.close() }
        #expect(cached.features.hasVolatileWriteCache)
        let device = try plugin.open()
        defer { device.close() }
        #expect(!device.features.hasVolatileWriteCache && device.blockCount == 2048)
        #expect(KitRequest.answerSerialNumber.words(on: device) == "KIT1")
        guard plugin == .blocking else { return }
        #expect(device.features.isSolidState && device.features.maximumTransferBlockCount == 128)
        #expect(device.features.unmapGranularity == 8 && device.features.maximumUnmapBlockCount == 1024)
    }

    @Test("The probe tells the size, or why there is none")
    func probe() throws {
        var configuration = KitPlugin.blocking.configuration("here")
        configuration.byteCount = nil
        #expect(refusal(try KitPlugin.blocking.handler, configuration) == nil)
        configuration = KitPlugin.blocking.configuration("nowhere")
        #expect(refusal(try KitPlugin.blocking.handler, configuration)?.description.contains("no such store") == true)
        // Without a probe nothing is known.
        configuration = KitPlugin.asynchronous.configuration("here")
        configuration.byteCount = nil
        #expect(
            refusal(try KitPlugin.asynchronous.handler, configuration) == .sizeUnknown(configString: "kitasync/here"))
    }

    @Test("An init that throws leaves its words and its number", arguments: KitPlugin.allCases)
    func refused(_ plugin: KitPlugin) throws {
        let collector = Collector()
        #expect(throws: HandlerDeviceError.openFailed(configString: "\(plugin.rawValue)/refuse", result: -5)) {
            try plugin.open("refuse", collector)
        }
        #expect(collector.count(of: "it was asked to refuse") == 1)
        #expect(collector.count(of: "closed after") == 0)
    }

    @Test("close comes once, after the last flush", arguments: KitPlugin.allCases)
    func close(_ plugin: KitPlugin) throws {
        let collector = Collector()
        let device = try plugin.open("", collector)
        #expect(TestRequest(.flush).run(on: device) == .good)
        device.close()
        device.close()
        #expect(collector.count(of: "closed after flush 2") == 1)
    }

    @Test("Each error becomes its status, and its sense data", arguments: KitPlugin.allCases)
    func errors(_ plugin: KitPlugin) throws {
        let device = try plugin.open("errors")
        defer { device.close() }
        func outcome(_ block: UInt64) -> BlockOutcome { device.read(512, at: block * 512).outcome }
        func check(_ key: SenseKey, _ additional: AdditionalSense) -> BlockOutcome {
            .failed(.checkCondition, SenseData(key, additional))
        }
        #expect(outcome(0) == .good && outcome(15) == .good)
        #expect(outcome(1) == check(.mediumError, .unrecoveredReadError))
        #expect(outcome(2) == check(.mediumError, .writeError))
        #expect(outcome(3) == check(.hardwareError, .internalTargetFailure))
        #expect(outcome(5) == check(.illegalRequest, .logicalBlockAddressOutOfRange))
        #expect(outcome(6) == check(.illegalRequest, .invalidCommandOperationCode))
        #expect(outcome(7) == check(.illegalRequest, .invalidFieldInCDB))
        #expect(outcome(8) == check(.illegalRequest, .invalidFieldInParameterList))
        #expect(outcome(9) == check(.illegalRequest, .parameterListLengthError))
        #expect(outcome(10) == .failed(.busy, nil) && outcome(12) == .failed(.busy, nil))
        #expect(outcome(11) == .failed(.taskSetFull, nil))
        #expect(outcome(13) == .miscompare(atByte: 17))
    }

    @Test("Sense data of the handler's own arrive as they are", arguments: KitPlugin.allCases)
    func ownSense(_ plugin: KitPlugin) throws {
        let device = try plugin.open("errors")
        defer { device.close() }
        for (block, bytes) in [(4, [0x07, 0x27, 0x00]), (14, [0x07, 0x27, 0x07])] as [(UInt64, [UInt8])] {
            let request = TestRequest(.read, at: block * 512, byteCount: 512)
            #expect(request.run(on: device) == .failedWithStoreSense)
            let sense = request.request.storeSense
            #expect([sense[2], sense[12], sense[13]] == bytes)
        }
    }

    @Test("Unmapped, zeroed and repeated blocks are what they should be", arguments: KitPlugin.allCases)
    func extents(_ plugin: KitPlugin) throws {
        let device = try plugin.open()
        defer { device.close() }
        let same = TestRequest(.writeSame, at: 1024, byteCount: 512, extent: 2048)
        same.request.buffer.copyBytes(from: block("same"))
        #expect(same.run(on: device) == .good)
        #expect(device.read(2048, at: 1024).bytes == Array(repeating: block("same"), count: 4).flatMap { $0 })
        #expect(TestRequest(.unmap, at: 1536, extent: 1024).run(on: device) == .good)
        #expect(device.read(1024, at: 1536).bytes == [UInt8](repeating: 0, count: 1024))
        let status = TestRequest(.blockStatus, at: 512, extent: 3072)
        #expect(status.run(on: device) == .good)
        #expect(status.request.extents.map(\.byteCount) == [512, 512, 1024, 512, 512])
        #expect(status.request.extents.map(\.isMapped) == [false, true, false, true, false])
        for (mayUnmap, isMapped) in [(false, [true, false]), (true, [false])] {
            let zeroes = TestRequest(.writeZeroes, at: 1024, extent: 2048)
            zeroes.request.mayUnmap = mayUnmap
            #expect(zeroes.run(on: device) == .good)
            #expect(device.read(2048, at: 1024).bytes == [UInt8](repeating: 0, count: 2048))
            #expect(TestRequest(.writeZeroes, at: 1 << 20, extent: 512).run(on: device) != .good)
            let extents = TestRequest(.blockStatus, at: 1024, extent: 3072)
            #expect(extents.run(on: device) == .good)
            #expect(extents.request.extents.map(\.isMapped) == isMapped)
        }
        let calls = KitRequest.answerCalls.words(on: device)
        #expect(calls.contains("blockStatus 3") && calls.contains("writeSame 1") && calls.contains("writeZeroes 2"))
    }

    @Test("COMPARE AND WRITE writes what matches, and tells where it does not", arguments: KitPlugin.allCases)
    func compareAndWrite(_ plugin: KitPlugin) throws {
        let device = try plugin.open()
        defer { device.close() }
        #expect(device.write(block("before"), at: 512) == .good)
        func exchange(_ expected: [UInt8], _ new: [UInt8]) -> BlockOutcome {
            let request = TestRequest(.compareAndWrite, at: 512, byteCount: 1024, extent: 512)
            request.request.buffer.copyBytes(from: expected + new)
            return request.run(on: device)
        }
        #expect(exchange(block("beforehand"), block("no")) == .miscompare(atByte: 6))
        #expect(exchange(block("before"), block("after")) == .good)
        #expect(device.read(512, at: 512).bytes == block("after"))
    }

    @Test(
        "Commands of the handler's own take data, answer data, fail, or are left to the host",
        arguments: KitPlugin.allCases)
    func commands(_ plugin: KitPlugin) throws {
        let device = try plugin.open()
        defer { device.close() }
        let (outcome, answer) = KitRequest.answerReceived.run(on: device, sending: [1, 2, 3, 4])
        #expect(outcome == .good && answer == [4, 3, 2, 1])
        #expect(KitRequest.fail.run(on: device).outcome == .failedWithStoreSense)
        #expect(KitRequest.answerIsReopening.run(on: device).answer == [0])
        #expect(TestRequest(cdb: [0x12, 0, 0, 0, 96, 0], byteCount: 96).run(on: device) == .notHandled)
    }
}
