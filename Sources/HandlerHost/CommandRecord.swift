// SPDX-License-Identifier: Apache-2.0

internal import CHandlerHost
internal import HandlerABI
internal import SCSI
internal import Synchronization
internal import TargetCore

/// Where the parts of a record stand, in bytes from its beginning.
enum CommandRecordLayout {
    /// Records of one request, used in turn: a handler that completes twice in a row meets an ended record.
    static let recordsPerRequest = 3

    static var library: Int { unsafe MemoryLayout<tcmur_cmd>.stride }
    static var vector: Int { unsafe library + MemoryLayout<tcmulib_cmd>.stride }
    /// The vector is followed by an empty element, at which functions stop that are not told its length.
    static var cdb: Int { unsafe vector + 2 * MemoryLayout<iovec>.stride }
    static var turn: Int { cdb + CommandDescriptorBlock.maximumByteCount }
    static var request: Int { turn + MemoryLayout<UInt64>.stride }
    static var device: Int { request + MemoryLayout<Int>.stride }
    static var ticket: Int { device + MemoryLayout<Int>.stride }
    static var group: Int { ticket + MemoryLayout<Int>.stride }
    static var sense: Int { unsafe library + MemoryLayout<tcmulib_cmd>.offset(of: \.sense_buf)! }
    static var byteCount: Int { group + MemoryLayout<Int>.stride }

    /// Behind the records: which of them is in use.
    static var index: Int { recordsPerRequest * byteCount }

    static var fitsDeviceRoom: Bool { index + MemoryLayout<Int>.stride <= BlockRequest.deviceRoomByteCount }
}

/// What a handler is shown of one command, and who ends it. The record stands in the device's room of a
/// `BlockRequest`, so that no command allocates one, and begins with the `struct tcmur_cmd` that handlers name it by.
///
/// Unsafe throughout: handlers' threads reach it by address. It is valid from `prepare` to the end of its request,
/// as tcmu-runner promises its handlers.
@unsafe
struct CommandRecord {
    private typealias Layout = CommandRecordLayout

    let base: UnsafeMutableRawPointer

    init(base: UnsafeMutableRawPointer) { unsafe self.base = base }

    init(command: UnsafeMutablePointer<tcmur_cmd>) { unsafe base = UnsafeMutableRawPointer(command) }

    /// The record of the submission that is under way.
    static func current(in request: BlockRequest) -> CommandRecord {
        unsafe CommandRecord(base: request.deviceRoom + index(in: request).pointee * Layout.byteCount)
    }

    /// The record of a new submission. The room is zeroed when it is made: index 0, and all records ended.
    static func next(in request: BlockRequest) -> CommandRecord {
        let index = unsafe index(in: request)
        unsafe index.pointee = index.pointee + 1 == Layout.recordsPerRequest ? 0 : index.pointee + 1
        return unsafe current(in: request)
    }

    private static func index(in request: BlockRequest) -> UnsafeMutablePointer<Int> {
        unsafe (request.deviceRoom + Layout.index).assumingMemoryBound(to: Int.self)
    }

    var command: UnsafeMutablePointer<tcmur_cmd> { unsafe base.assumingMemoryBound(to: tcmur_cmd.self) }

    var library: UnsafeMutablePointer<tcmulib_cmd> {
        unsafe (base + Layout.library).assumingMemoryBound(to: tcmulib_cmd.self)
    }

    /// The one element of memory; handlers may consume it.
    var vector: UnsafeMutablePointer<iovec> {
        unsafe (base + Layout.vector).assumingMemoryBound(to: iovec.self)
    }

    private var cdb: UnsafeMutablePointer<UInt64> {
        unsafe (base + Layout.cdb).assumingMemoryBound(to: UInt64.self)
    }

    /// See CommandTurn.swift.
    var turn: UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe (base + Layout.turn).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Nil: the device's own flush, or a group's record.
    var request: Unmanaged<BlockRequest>? {
        unsafe (base + Layout.request).assumingMemoryBound(to: Unmanaged<BlockRequest>?.self).pointee
    }

    var device: Unmanaged<HandlerDevice>? {
        unsafe (base + Layout.device).assumingMemoryBound(to: Unmanaged<HandlerDevice>?.self).pointee
    }

    /// The record has ended, and its device goes: whoever comes back to it finds none.
    func forgetDevice() {
        unsafe (base + Layout.device).storeBytes(of: nil, as: Unmanaged<HandlerDevice>?.self)
    }

    /// Which of the watch's counters has the command.
    var ticket: Int {
        get { unsafe (base + Layout.ticket).assumingMemoryBound(to: Int.self).pointee }
        nonmutating set { unsafe (base + Layout.ticket).assumingMemoryBound(to: Int.self).pointee = newValue }
    }

    /// The group whose record it is, or that the request is the first of and that waits to be performed.
    var group: Unmanaged<MergeGroup>? {
        get { unsafe (base + Layout.group).assumingMemoryBound(to: Unmanaged<MergeGroup>?.self).pointee }
        nonmutating set {
            unsafe (base + Layout.group).storeBytes(of: newValue, as: Unmanaged<MergeGroup>?.self)
        }
    }

    /// The handler's sense buffer.
    var sense: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base + Layout.sense, count: StatusMapping.senseByteCount)
    }

    /// Shows the handler the CDB, `data` as its one element of memory, and a clean sense buffer.
    func prepare(
        request: BlockRequest?, device: HandlerDevice, cdb block: CommandDescriptorBlock,
        data: UnsafeMutableRawBufferPointer
    ) {
        unsafe (base + Layout.request).storeBytes(
            of: request.map { unsafe Unmanaged.passUnretained($0) }, as: Unmanaged<BlockRequest>?.self)
        unsafe vector.pointee = iovec(iov_base: data.baseAddress, iov_len: data.count)
        unsafe vector[1] = iovec(iov_base: nil, iov_len: 0)
        unsafe show(device, block, vector, count: data.isEmpty ? 0 : 1, byteCount: data.count)
    }

    /// The same for all of a group, with the CDB of its first request.
    func prepare(group: MergeGroup, device: HandlerDevice, cdb block: CommandDescriptorBlock) {
        unsafe self.group = Unmanaged.passUnretained(group)
        unsafe show(device, block, group.vector, count: group.count, byteCount: group.byteCount)
    }

    private func show(
        _ device: HandlerDevice, _ block: CommandDescriptorBlock, _ elements: UnsafeMutablePointer<iovec>,
        count: Int, byteCount: Int
    ) {
        unsafe (base + Layout.device).storeBytes(
            of: Unmanaged.passUnretained(device), as: Unmanaged<HandlerDevice>?.self)
        for index in 0..<(CommandDescriptorBlock.maximumByteCount / 8) {
            unsafe cdb[index] = block.uint64(at: index * 8).bigEndian
        }
        var shown = unsafe tcmulib_cmd()
        unsafe shown.cdb = UnsafeMutableRawPointer(cdb).assumingMemoryBound(to: UInt8.self)
        unsafe shown.iovec = elements
        unsafe shown.iov_cnt = count
        unsafe library.pointee = shown
        var wrapped = unsafe tcmur_cmd()
        unsafe wrapped.lib_cmd = library
        unsafe wrapped.iovec = elements
        unsafe wrapped.iov_cnt = count
        unsafe wrapped.requested = byteCount
        unsafe wrapped.done = { _, command, status in
            guard let command = unsafe command else { return }
            unsafe HandlerDevice.handlerCompleted(CommandRecord(command: command), status)
        }
        unsafe command.pointee = wrapped
    }
}
