// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore

/// What became of a command.
struct Ended: Equatable {
    var status: Status
    var sense: SenseData?
    var data: [UInt8] = []
}

/// A transport without a wire: leases memory, brings data, and notes how tasks end.
final class FakePort: TargetPort {
    private(set) var finished: [UInt64: Ended] = [:]
    private(set) var order: [UInt64] = []
    private(set) var aborted: [UInt64] = []
    var storeSense: [UInt64: [UInt8]] = [:]
    /// Called at the end of `taskFinished`, with the task to be used again.
    var afterFinished: ((SCSITask) -> Void)?

    /// Set from the first request of a turn until the turn has ended.
    var hasSubmissions = false

    func submissionsBegan() { hasSubmissions = true }

    func taskFinished(_ task: SCSITask) {
        let data = Array(task.buffer[..<task.toInitiatorByteCount])
        finished[task.tag] = Ended(status: task.status, sense: task.sense, data: data)
        storeSense[task.tag] = task.storeSense
        order.append(task.tag)
        afterFinished?(task)
    }

    func taskAborted(_ task: SCSITask) {
        aborted.append(task.tag)
    }
}

/// One initiator: a nexus with its loop and port.
final class Initiator {
    let loop: FakeLoop
    let port = FakePort()
    let nexus: ITNexus
    private var nextTag: UInt64 = 1
    // Tasks and their memory live as long as the initiator: a transport's do as well.
    private var tasks: [SCSITask] = []
    private var leases: [UnsafeMutableRawBufferPointer] = []

    /// `through`: nil: the target's first port, by a name as iSCSI has it.
    init(
        _ target: SCSITarget, name: String = "iqn.2026-11.org.example:a,i,0x1", loop: FakeLoop = FakeLoop(),
        map: LUNMap? = nil, through targetPort: TargetPortDescription? = nil
    ) {
        self.loop = loop
        nexus = ITNexus(
            target: target, initiatorPortName: name, targetPortName: targetPort?.name ?? target.name + ",t,0x1",
            targetPort: targetPort, loop: loop, port: port, map: map)
    }

    deinit {
        for lease in leases { lease.deallocate() }
    }

    /// None may be under way.
    func forgetTasks() { tasks = [] }

    func makeTask(
        _ cdb: [UInt8], lun: LogicalUnitNumber = .init(0), attribute: TaskAttribute = .simple,
        expectedFromInitiator: Int = 0, expectedToInitiator: Int = 0
    ) -> SCSITask {
        let task = SCSITask(loop: loop)
        task.tag = nextTag
        nextTag += 1
        task.lun = lun
        task.attribute = attribute
        // As iSCSI brings it: 16 bytes, whatever the command.
        task.cdb = CommandDescriptorBlock(cdb + [UInt8](repeating: 0, count: max(0, 16 - cdb.count)))!
        task.expectedFromInitiator = expectedFromInitiator
        task.expectedToInitiator = expectedToInitiator
        tasks.append(task)
        return task
    }

    func lease(_ task: SCSITask, _ data: [UInt8]) {
        let byteCount = task.plan.bufferByteCount
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0xEE)
        leases.append(memory)
        let received = data.prefix(task.plan.fromInitiator)
        memory.copyBytes(from: received)
        task.buffer = memory
        task.receivedByteCount = received.count
    }

    /// Accepts and executes; the task may be under way when this returns. Nil data for the end that came at once.
    @discardableResult
    func start(
        _ cdb: [UInt8], _ data: [UInt8] = [], lun: LogicalUnitNumber = .init(0), attribute: TaskAttribute = .simple,
        expectedToInitiator: Int = 0
    ) -> (tag: UInt64, ended: Ended?) {
        let task = makeTask(
            cdb, lun: lun, attribute: attribute, expectedFromInitiator: data.count,
            expectedToInitiator: expectedToInitiator)
        switch nexus.accept(task) {
        case .ended:
            return (task.tag, Ended(status: task.status, sense: task.sense))
        case .accepted:
            lease(task, data)
            nexus.execute(task)
            endTurn()
            return (task.tag, port.finished[task.tag])
        }
    }

    /// As a transport does it: only when the core has said that there is something to end.
    func endTurn() {
        guard port.hasSubmissions else { return }
        port.hasSubmissions = false
        nexus.turnEnded()
    }

    /// Runs a command to its end.
    func run(
        _ cdb: [UInt8], _ data: [UInt8] = [], lun: LogicalUnitNumber = .init(0), attribute: TaskAttribute = .simple,
        expectedToInitiator: Int = 0
    ) -> Ended {
        let (tag, ended) = start(
            cdb, data, lun: lun, attribute: attribute, expectedToInitiator: expectedToInitiator)
        if let ended { return ended }
        loop.turn { self.port.finished[tag] != nil }
        return port.finished[tag]!
    }
}

/// One unit at LUN 0, and initiators for it.
struct Rig {
    static let serial = "0123456789"
    let device: FakeDevice
    let unit: LogicalUnit
    let target: SCSITarget
    let initiator: Initiator

    init(
        _ device: FakeDevice = FakeDevice(), writeCacheEnabled: Bool = true, postsPowerOnAttention: Bool = false,
        options change: (inout LogicalUnitOptions) -> Void = { _ in }
    ) {
        self.device = device
        var options = LogicalUnitOptions()
        options.writeCacheEnabled = writeCacheEnabled
        change(&options)
        unit = LogicalUnit(device: device, identity: LogicalUnitIdentity(serial: Self.serial), options: options)
        target = SCSITarget(
            name: "iqn.2026-11.org.example:target", luns: [0: unit], postsPowerOnAttention: postsPowerOnAttention)
        initiator = Initiator(target)
    }

    init(postsPowerOnAttention: Bool = false, features change: (inout BlockDeviceFeatures) -> Void) {
        var features = BlockDeviceFeatures()
        change(&features)
        self.init(FakeDevice(features: features), postsPowerOnAttention: postsPowerOnAttention)
    }

    func anotherInitiator(_ name: String = "iqn.2026-11.org.example:b,i,0x2", loop: FakeLoop = FakeLoop()) -> Initiator
    {
        Initiator(target, name: name, loop: loop)
    }
}

/// Turns the loops of all `initiators` until none has anything to do.
func turnAll(_ initiators: Initiator...) {
    while initiators.map({ $0.loop.turn() }).contains(true) {}
}

extension Ended {
    static let good = Ended(status: .good, sense: nil)

    static func check(_ sense: SenseData) -> Ended { Ended(status: .checkCondition, sense: sense) }

    static let reservationConflict = Ended(status: .reservationConflict, sense: nil)
}

extension FixedWidthInteger {
    /// Big-endian bytes.
    var bytes: [UInt8] {
        withUnsafeBytes(of: bigEndian) { Array($0) }
    }
}

/// One list of bytes out of several, without operators for the type checker to puzzle over.
func joined(_ parts: [UInt8]...) -> [UInt8] {
    parts.flatMap { $0 }
}

enum CDB {
    static let testUnitReady: [UInt8] = [0x00, 0, 0, 0, 0, 0]

    static func read10(_ lba: UInt32, _ count: UInt16, flags: UInt8 = 0) -> [UInt8] {
        [0x28, flags] + lba.bytes + [0] + count.bytes + [0]
    }

    static func write10(_ lba: UInt32, _ count: UInt16, flags: UInt8 = 0) -> [UInt8] {
        [0x2A, flags] + lba.bytes + [0] + count.bytes + [0]
    }

    static func read16(_ lba: UInt64, _ count: UInt32, flags: UInt8 = 0) -> [UInt8] {
        [0x88, flags] + lba.bytes + count.bytes + [0, 0]
    }

    static func requestSense(descriptor: Bool = false) -> [UInt8] { [0x03, descriptor ? 1 : 0, 0, 0, 252, 0] }
}
