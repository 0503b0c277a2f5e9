// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import Synchronization
import TargetCore
import Testing

/// The plugin "rbd" over the cluster in memory of Handlers/rbd_cluster.c, with some of its faults.
struct FakeCluster {
    let folder: TestFolder
    let collector = Collector()
    let handler: Handler

    static let byteCount: UInt64 = 2 << 20

    /// Compiled once for all tests.
    private static let compiled = Result {
        let folder = try TestFolder()
        try Compiler.compilePlugin("rbd", with: "rbd_cluster.c", wrapping: [], libraries: [], in: folder)
        return folder
    }

    /// `faults`: NAME=VALUE each, as Handlers/rbd_cluster.c lists them.
    init(_ faults: String...) throws {
        folder = try TestFolder()
        let original = try Self.compiled.get().file("handler_rbd.so")
        try FileManager.default.copyItem(atPath: original, toPath: folder.file("handler_rbd.so"))
        try Data(faults.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: folder.file("faults")))
        let registry = HandlerRegistry(diagnostics: collector.diagnostics)
        let results = registry.scan(directories: [folder.path])
        handler = try #require(registry.handler(subtype: "rbd"), "\(results)")
    }

    func open(_ options: String = "", isReadOnly: Bool = false) throws -> HandlerDevice {
        var configuration = HandlerDeviceConfiguration(configString: "rbd/rbd/image\(options)", serial: "1")
        configuration.isReadOnly = isReadOnly
        return try HandlerDevice.open(handler, configuration, diagnostics: collector.diagnostics)
    }

    var calls: [String] { folder.lines("log") }
    func calls(_ word: String) -> [String] { calls.filter { $0.hasPrefix(word) } }
}

struct RBDTests {
    static let standby = BlockOutcome.failed(.checkCondition, SenseData(.notReady, .targetPortInStandbyState))

    private func compareAndWrite(_ old: [UInt8], _ new: [UInt8], at offset: UInt64) -> TestRequest {
        let request = TestRequest(
            .compareAndWrite, at: offset, byteCount: old.count + new.count, extent: UInt64(old.count))
        request.request.buffer.copyBytes(from: old + new)
        return request
    }

    @Test("Random reads and writes keep their data, with the lock and without", arguments: ["NO_LOCK=1", ""])
    func integrity(_ fault: String) throws {
        let cluster = try fault.isEmpty ? FakeCluster() : FakeCluster(fault)
        let device = try cluster.open()
        #expect(device.blockCount == 4096 && !device.features.hasVolatileWriteCache)
        RandomIO.run(on: device)
        #expect(TestRequest(.flush).run(on: device) == .good)
        device.close()
        #expect(cluster.collector.count(of: "serve the image from one server only") == (fault.isEmpty ? 0 : 1))
    }

    @Test(
        "COMPARE AND WRITE has its blocks to itself, against every write of the device", arguments: [512, 4096, 65536])
    func compareIsAtomic(byteCount: Int) throws {
        let device = try FakeCluster().open()
        let contents = ["a", "b", "c"].map { Array(block($0).prefix(1)) + [UInt8](repeating: 1, count: byteCount - 1) }
        for _ in 0..<200 {
            #expect(device.write(contents[0], at: 32768) == .good)
            let compare = compareAndWrite(contents[0], contents[1], at: 32768)
            let write = TestRequest(write: contents[2], at: 32768)
            let neighbour = TestRequest(write: block("n"), at: 32768 - 512)
            let waiting = [compare, write, neighbour].filter { !$0.start(on: device) }
            device.submissionsEnded()
            for request in waiting { request.loop.wait(for: request.request) }
            // Whichever came first: the plain write is not undone.
            #expect(device.read(byteCount, at: 32768).bytes == contents[2])
            let outcome = compare.request.outcome
            #expect(outcome == .good || outcome == .miscompare(atByte: 0))
        }
        device.close()
    }

    @Test("Of many COMPARE AND WRITEs that expect the same, one succeeds", arguments: [512, 8192])
    func compareOnce(byteCount: Int) throws {
        let device = try FakeCluster().open()
        let zeroes = [UInt8](repeating: 0, count: byteCount)
        let requests = (0..<32).map { compareAndWrite(zeroes, block("\($0)", byteCount: byteCount), at: 65536 - 512) }
        let waiting = requests.filter { !$0.start(on: device) }
        device.submissionsEnded()
        for request in waiting { request.loop.wait(for: request.request) }
        #expect(requests.count { $0.request.outcome == .good } == 1)
        device.close()
    }

    @Test(
        "The byte that differs is told rightly, also by releases of librbd that do not",
        arguments: ["", "OLD_MISMATCH=1"])
    func mismatch(_ fault: String) throws {
        let device = try (fault.isEmpty ? FakeCluster() : FakeCluster(fault)).open()
        for (offset, byteCount) in [(0, 512), (512, 512), (65536 + 1024, 512), (65536, 1024)] {
            for byte in [0, 1, 300, byteCount - 1] {
                var expected = [UInt8](repeating: 0, count: byteCount)
                expected[byte] = 1
                let request = compareAndWrite(expected, expected, at: UInt64(offset))
                #expect(request.run(on: device) == .miscompare(atByte: UInt64(byte)))
            }
        }
        device.close()
    }

    @Test("UNMAP and zeroes are exact, never librbd's discard")
    func zeroes() throws {
        let cluster = try FakeCluster()
        let device = try cluster.open()
        #expect(device.features.unmappedReadsZero && device.features.unmapGranularity == 128)
        #expect(device.write([UInt8](repeating: 7, count: 8192), at: 0) == .good)
        #expect(TestRequest(.unmap, at: 512, extent: 1024).run(on: device) == .good)
        let found = device.read(8192, at: 0).bytes
        #expect(found[..<512].allSatisfy { $0 == 7 } && found[512..<1536].allSatisfy { $0 == 0 })
        #expect(found[1536...].allSatisfy { $0 == 7 })
        #expect(cluster.calls("zero") == ["zero 512 1024 thin"])
        device.close()
    }

    @Test("The lock is taken by the first change, from whoever has it, and once")
    func takesLock() throws {
        let cluster = try FakeCluster("OTHER_OWNER=1")
        let device = try cluster.open()
        #expect(device.read(512, at: 0).outcome == .good)
        #expect(TestRequest(.flush).run(on: device) == .good)
        #expect(cluster.calls("break").isEmpty && cluster.calls("acquire").isEmpty)
        let requests = (0..<40).map { TestRequest(write: block("\($0)"), at: UInt64($0) * 512) }
        let waiting = requests.filter { !$0.start(on: device) }
        device.submissionsEnded()
        for request in waiting { request.loop.wait(for: request.request) }
        #expect(requests.allSatisfy { $0.request.outcome == .good })
        #expect(Array(cluster.calls.drop { $0 != "break other" }.prefix(2)) == ["break other", "acquire"])
        #expect(cluster.calls("acquire").count == 1 && cluster.calls("write").count == 40)
        #expect(cluster.collector.count(of: "takes the image over from the client at other") == 1)
        device.close()
    }

    @Test("With lock=auto the lock is librbd's own business")
    func automaticLock() throws {
        let cluster = try FakeCluster("OTHER_OWNER=1")
        let device = try cluster.open(";lock=auto")
        // The cluster in memory moves no lock by itself.
        #expect(device.write(block("x"), at: 0) == Self.standby)
        #expect(cluster.calls("acquire").isEmpty && cluster.calls("break").isEmpty)
        device.close()
    }

    @Test("A device that another server displaced refuses everything for its quarantine, then begins afresh")
    func displaced() throws {
        let cluster = try FakeCluster("FENCED_AFTER=4", "TAKEN_OVER=1")
        let device = try cluster.open(";quarantine=1")
        let outcomes = (0..<10).map { device.write(block("\($0)"), at: 0) }
        #expect(outcomes[..<4].allSatisfy { $0 == .good })
        #expect(outcomes[4...].allSatisfy { $0 == Self.standby || $0 == .failed(.busy, nil) })
        #expect(device.read(512, at: 0).outcome != .good)
        #expect(cluster.collector.waits(for: "another server has taken the image over"))
        #expect(cluster.collector.waits(for: "open again"))
        #expect(cluster.collector.count(of: "the cluster refuses this server") == 1)
        // An initiator has come back.
        #expect(device.write(block("back"), at: 0) == .good)
        #expect(cluster.calls("break") == ["break other"])
        device.close()
    }

    @Test("A device whose connection was fenced for another image begins afresh at once")
    func notDisplaced() throws {
        let cluster = try FakeCluster("FENCED_AFTER=2")
        // The quarantine would outlast the test.
        let device = try cluster.open(";quarantine=3600")
        while device.write(block("x"), at: 0) == .good {}
        #expect(cluster.collector.waits(for: "open again"))
        #expect(device.write(block("again"), at: 0) == .good && device.read(512, at: 0).bytes == block("again"))
        #expect(cluster.collector.count(of: "another server") == 0)
        device.close()
    }

    @Test("What the cluster does not answer in time ends with BUSY, told the first, second and fourth time")
    func timeouts() throws {
        let cluster = try FakeCluster("TIMEOUT_FROM=65536")
        let device = try cluster.open()
        for _ in 0..<5 { #expect(device.write(block("x"), at: 65536) == .failed(.busy, nil)) }
        #expect(device.write(block("x"), at: 512) == .good)
        #expect(device.read(512, at: 131072).outcome == .failed(.busy, nil))
        #expect(cluster.collector.count(of: "cannot write at byte 65536: the cluster did not answer in time") == 3)
        #expect(cluster.collector.count(of: "cannot read at byte 131072") == 1)
        device.close()
    }

    @Test("A new size is taken over and told")
    func resize() throws {
        let cluster = try FakeCluster("GROWN=3145728")
        let device = try cluster.open()
        let told = DispatchSemaphore(value: 0)
        device.onCapacityChange = { told.signal() }
        #expect(device.write(block("x"), at: 0) == .good)
        #expect(told.wait(timeout: .now() + 30) == .success)
        #expect(device.blockCount == 6144)
        #expect(device.write(block("end"), at: 3_145_728 - 512) == .good)
        device.close()
    }

    @Test("Devices of one cluster, user and time-out share a connection, which the last one closes")
    func connections() throws {
        let cluster = try FakeCluster()
        // The probe before the first open has one of its own.
        let devices = [try cluster.open(), try cluster.open(isReadOnly: true), try cluster.open(isReadOnly: true)]
        #expect(cluster.calls("connect").count == 2 && cluster.calls("disconnect").count == 1)
        let other = try cluster.open(";id=tcmu", isReadOnly: true)
        #expect(cluster.calls("connect tcmu").count == 2)
        for device in devices { device.close() }
        #expect(cluster.calls("disconnect").count == 3)
        other.close()
        #expect(cluster.calls("connect").count == cluster.calls("disconnect").count)
        #expect(cluster.calls("rbd_cache=false").count == cluster.calls("connect").count)
        #expect(cluster.calls("rados_osd_op_timeout=31").count == cluster.calls("connect").count)
    }

    @Test(
        "A configuration string that cannot be meant is refused in words",
        arguments: [
            ("rbd/", "names no image"), ("rbd/rbd", "names no image"), ("rbd/rbd/", "names no image"),
            ("rbd//image", "names no image"), ("rbd/rbd//image", "names no image"),
            ("rbd/rbd/a/b/image", "names no image"), ("rbd/rbd/image@", "names no image"),
            ("rbd/rbd/@s", "names no image"), ("rbd/rbd/image;", "no option \"\""),
            ("rbd/rbd/image;;id=a", "no option \"\""), ("rbd/rbd/image;user=a", "no option \"user\""),
            ("rbd/rbd/image;conf", "absolute path"), ("rbd/rbd/image;conf=", "absolute path"),
            ("rbd/rbd/image;conf=ceph.conf", "absolute path"), ("rbd/rbd/image;id=", "without \"client.\""),
            ("rbd/rbd/image;id=client.admin", "without \"client.\""),
            ("rbd/rbd/image;osd_op_timeout=0", "seconds from 1 to 3600"),
            ("rbd/rbd/image;osd_op_timeout=1s", "seconds from 1 to 3600"),
            ("rbd/rbd/image;osd_op_timeout=99999999999999999999", "seconds from 1 to 3600"),
            ("rbd/rbd/image;quarantine=0", "seconds from 1 to 3600"),
            ("rbd/rbd/image;lock=none", "exclusive or auto"), ("rbd/rbd/image;id=a;id=b", "id stands there twice"),
            ("rbd/rbd/image;conf=/nowhere", "cannot read /nowhere: No such file"),
            ("rbd/other/image", "no pool \"other\""), ("rbd/rbd/other", "no image \"other\""),
            ("rbd/rbd/space/image", "no namespace \"space\""), ("rbd/rbd/image@snap", "no snapshot \"snap\""),
        ])
    func refused(_ string: String, _ words: String) throws {
        let configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        let error = try #require(refusal(try FakeCluster().handler, configuration))
        #expect(error.description.contains(words), "\(error)")
    }

    @Test("Two devices of one server never write to one image, whatever they call it")
    func claimed() throws {
        let cluster = try FakeCluster()
        let device = try cluster.open()
        for options in ["", ";id=tcmu", ";lock=auto"] {
            #expect(throws: HandlerDeviceError.self) { try cluster.open(options).close() }
        }
        #expect(cluster.collector.count(of: "the image is in use by another device of this server") == 3)
        device.close()
        try cluster.open(";id=tcmu").close()
    }

    @Test("lock=exclusive is refused for an image without a lock")
    func withoutLock() throws {
        let cluster = try FakeCluster("NO_LOCK=1")
        let configuration = HandlerDeviceConfiguration(configString: "rbd/rbd/image;lock=exclusive", serial: "1")
        #expect(throws: HandlerDeviceError.self) {
            try HandlerDevice.open(cluster.handler, configuration, diagnostics: cluster.collector.diagnostics).close()
        }
        #expect(cluster.collector.count(of: "rbd feature enable rbd/image exclusive-lock") == 1)
    }
}
