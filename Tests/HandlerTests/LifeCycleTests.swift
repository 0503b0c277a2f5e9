// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

struct LifeCycleTests {
    @Test("check_config, open, I/O, flush, close: in this order, and each once")
    func order() throws {
        let recorder = try Recorder()
        let device = try recorder.open()
        #expect(device.write(block("hello"), at: 512) == .good)
        #expect(device.read(512, at: 512).bytes == block("hello"))
        device.close()
        device.close()
        #expect(
            recorder.calls == [
                "check_config", "open", "size 2048", "write at 512", "flush", "most inside 1", "close",
            ])
    }

    @Test("Who closes a device that is being closed waits for the end of that")
    func closedTwice() throws {
        let folder = try TestFolder()
        try Compiler.compile("life.c", to: "handler_life.so", in: folder, ["FOLDER=\"\(folder.path)\""])
        let registry = HandlerRegistry(diagnostics: .silent)
        registry.scan(directories: [folder.path])
        var configuration = HandlerDeviceConfiguration(configString: "life/a", serial: "1")
        configuration.byteCount = 1 << 20
        let device = try HandlerDevice.open(
            #require(registry.handler(subtype: "life")), configuration, diagnostics: .silent)
        try #require(mkfifo(folder.file("hold-flush-a"), 0o600) == 0)
        let fifo = open(folder.file("hold-flush-a"), O_RDWR | O_CLOEXEC)
        defer { close(fifo) }
        let first = DispatchQueue(label: "first")
        first.async { device.close() }
        while !folder.lines("log").contains("flushes a") { sched_yield() }
        // Long after the second call has begun, on any machine that is not stopped.
        DispatchQueue.global().asyncAfter(deadline: .now() + 0.5) {
            var byte: UInt8 = 0
            _ = write(fifo, &byte, 1)
        }
        device.close()
        #expect(folder.lines("log") == ["opens a", "open a", "flushes a", "flushed a", "closed a"])
        first.sync {}
    }

    @Test(
        "A device that does not open says why, and is not closed",
        arguments: [
            (" refuse", "refuses \"", "it asks to be refused"), (" mute", "refuses \"", "it gives no reason"),
            (" fail", "could not open", "it returned -5"),
        ])
    func refused(_ words: String, _ first: String, _ second: String) throws {
        let recorder = try Recorder()
        let error = try #require(refusal(recorder.handler, recorder.configuration(words)))
        #expect(error.description.contains(first) && error.description.contains(second))
        #expect(!recorder.calls.contains("close"))
    }

    @Test("A configuration that cannot be is refused before the handler sees it")
    func configuration() throws {
        let recorder = try Recorder()
        func change(_ edit: (inout HandlerDeviceConfiguration) -> Void) -> HandlerDeviceError? {
            var configuration = recorder.configuration()
            edit(&configuration)
            return refusal(recorder.handler, configuration)
        }
        let string = recorder.configuration().configString
        #expect(change { $0.configString = "other/x" } == .otherSubtype(configString: "other/x", subtype: "recorder"))
        #expect(change { $0.configString += String(repeating: "x", count: 4096) } != nil)
        #expect(change { $0.byteCount = nil } == .sizeUnknown(configString: string))
        #expect(change { $0.byteCount = 0 } == .sizeZero(configString: string))
        #expect(change { $0.blockByteCount = 520 } == .blockSizeInvalid(520))
        #expect(
            change { $0.byteCount = 1000 }
                == .sizeNoMultiple(configString: string, byteCount: 1000, blockByteCount: 512))
        #expect(!recorder.calls.contains("open"))
    }

    @Test("A configuration string loses its leading slash and tcmu-runner's own attribute")
    func configString() {
        let configuration = HandlerDeviceConfiguration(
            configString: "/file//a;tcmur_cmd_time_out=7;b", serial: "")
        #expect(configuration.configString == "file//a;b")
        #expect(configuration.subtype == "file")
        #expect(configuration.commandTimeoutSeconds == 7)
    }

    @Test("A size that contradicts what the store holds is refused with both sizes")
    func contradiction() throws {
        let recorder = try Recorder()
        let image = recorder.folder.file("image")
        try Data(count: 4096).write(to: URL(fileURLWithPath: image))
        var configuration = HandlerDeviceConfiguration(configString: "recorder/\(image)", serial: "")
        configuration.byteCount = 8192
        let words = try #require(refusal(recorder.handler, configuration)?.description)
        #expect(words.contains("holds 4096 bytes") && words.contains("size=8192"))
    }

    @Test("Attributes that the handler sets in open are taken over")
    func attributes() throws {
        let device = try Recorder("BLOCK_SIZE=4096", "WRITE_THROUGH").open()
        defer { device.close() }
        #expect(device.blockByteCount == 4096)
        #expect(device.blockCount == 256)
        #expect(!device.features.hasVolatileWriteCache)
        #expect(device.features.maximumTransferBlockCount == 2048)
    }

    @Test("A block size that is not served is refused, and the handler closes", arguments: [256, 8192])
    func blockSize(_ size: Int) throws {
        let recorder = try Recorder("BLOCK_SIZE=\(size)")
        let error = refusal(recorder.handler, recorder.configuration())
        #expect(error?.description.contains("set a block size of \(size) bytes") == true)
        #expect(recorder.calls.last == "close")
    }

    @Test("Features follow from the callouts")
    func features() throws {
        let plain = try Recorder().open()
        defer { plain.close() }
        #expect(plain.features.canFlush && plain.features.hasVolatileWriteCache)
        #expect(!plain.features.canUnmap && !plain.features.canWriteSame && !plain.features.canCompareAndWrite)
        #expect(plain.features.passthrough == .none && !plain.features.canReportBlockStatus)
        let unflushed = try Recorder("NO_FLUSH").open()
        defer { unflushed.close() }
        #expect(!unflushed.features.canFlush && !unflushed.features.hasVolatileWriteCache)
        let mixed = try Recorder("CDBS").open()
        defer { mixed.close() }
        #expect(mixed.features.passthrough == .first)
        let only = try Recorder("CDBS", "CDBS_ONLY").open()
        defer { only.close() }
        #expect(only.features.passthrough == .always)
    }

    @Test(
        "Requests that no handler may see fail before it",
        arguments: [
            (BlockRequest.Operation.read, UInt64(1 << 20), 512, UInt64(512)), (.read, (1 << 20) - 512, 1024, 1024),
            (.read, 100, 512, 512), (.read, .max - 511, 512, 512), (.write, 0, 100, 100), (.unmap, 0, 0, .max),
            (.writeSame, 0, 1024, 1024), (.compareAndWrite, 0, 512, 512), (.read, 0, 0, 0),
        ])
    func impossible(
        _ operation: BlockRequest.Operation, _ offset: UInt64, _ byteCount: Int, _ extent: UInt64
    ) throws {
        let recorder = try Recorder()
        let device = try recorder.open()
        let outcome = TestRequest(operation, at: offset, byteCount: byteCount, extent: extent).run(on: device)
        guard case .failed(.checkCondition, .some) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        device.close()
        #expect(!recorder.calls.contains { $0.hasPrefix("write") })
    }

    @Test("A read-only device is not written, and not flushed")
    func readOnly() throws {
        let recorder = try Recorder()
        var configuration = recorder.configuration()
        configuration.isReadOnly = true
        let device = try HandlerDevice.open(recorder.handler, configuration, diagnostics: .silent)
        #expect(device.features.isReadOnly)
        #expect(device.write(block("x"), at: 0) == .failed(.checkCondition, SenseData(.dataProtect, .writeProtected)))
        device.close()
        #expect(recorder.calls == ["check_config", "open", "size 2048", "most inside 0", "close"])
    }

    @Test("A request to a closed device fails")
    func closed() throws {
        let device = try Recorder().open()
        device.close()
        let expected = SenseData(.notReady, .logicalUnitNotReadyCauseNotReportable)
        #expect(device.read(512, at: 0).outcome == .failed(.checkCondition, expected))
    }

    @Test("A resize asks the handler, and the block count follows")
    func resize() throws {
        let recorder = try Recorder()
        let device = try recorder.open()
        let changes = Collector()
        device.onCapacityChange = { changes.diagnostics.report(.notice, "changed") }
        try device.resize(byteCount: 1 << 19)
        #expect(device.blockCount == 1024)
        #expect(throws: HandlerDeviceError.self) { try device.resize(byteCount: 1 << 21) }
        #expect(throws: HandlerDeviceError.self) { try device.resize(byteCount: 1000) }
        #expect(throws: HandlerDeviceError.self) { try device.resize(byteCount: 0) }
        #expect(device.blockCount == 1024)
        #expect(changes.count(of: "changed") == 1)
        device.close()
        #expect(throws: HandlerDeviceError.isClosed(configString: device.configString)) {
            try device.resize(byteCount: 1 << 20)
        }
        #expect(recorder.calls.filter { $0.hasPrefix("reconfig") } == ["reconfig 524288", "reconfig 2097152"])
    }

    @Test("A handler that changes its size is noticed")
    func handlerResizes() throws {
        let device = try Recorder().open()
        defer { device.close() }
        let changes = Collector()
        device.onCapacityChange = { changes.diagnostics.report(.notice, "changed") }
        #expect(device.write(block("grow"), at: 0) == .good)
        #expect(changes.waits(for: "changed"))
        #expect(device.blockCount == 1024)
    }

    @Test("After a lost connection the device is closed and opened again, and answers BUSY meanwhile")
    func lostConnection() throws {
        let recorder = try Recorder()
        let device = try recorder.open()
        #expect(device.write(block("lost"), at: 0) == .good)
        #expect(recorder.collector.waits(for: "lost its connection"))
        var outcome = device.read(512, at: 0).outcome
        while outcome == .good { outcome = device.read(512, at: 0).outcome }
        #expect(outcome == .failed(.busy, nil))
        #expect(recorder.collector.waits(for: "open again"))
        #expect(device.read(512, at: 0).outcome == .good)
        device.close()
        #expect(
            recorder.calls.filter { $0.hasPrefix("open") || $0 == "close" } == [
                "open", "close", "open again", "open again", "close",
            ])
    }
}
