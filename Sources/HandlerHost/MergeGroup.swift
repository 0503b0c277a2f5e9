// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI
internal import TargetCore

/// Reads or writes that go to the handler in one callout, and the record that it is shown for them. Made with the
/// device, used again and again.
///
/// Sendable: it belongs to one thread at a time, which got it from `RequestMerger` or from the handler's completion.
@safe
final class MergeGroup: @unchecked Sendable {
    /// Elements that a callout gets at most: far below IOV_MAX, and a KiB of them.
    static let elementLimit = 64

    /// The record, then the elements, then the members. Ours from init to deinit.
    private let memory: UnsafeMutableRawPointer
    private let members: UnsafeMutablePointer<Unmanaged<BlockRequest>>
    let vector: UnsafeMutablePointer<iovec>
    private(set) var count = 0
    private(set) var byteCount = 0
    /// The next of a queue.
    var next: MergeGroup?

    init() {
        let vectorByteCount = unsafe Self.elementLimit * MemoryLayout<iovec>.stride
        let memberByteCount = unsafe Self.elementLimit * MemoryLayout<Unmanaged<BlockRequest>>.stride
        let vectorOffset = (CommandRecordLayout.byteCount + 15) & ~15
        let byteCount = vectorOffset + vectorByteCount + memberByteCount
        unsafe memory = .allocate(byteCount: byteCount, alignment: 16)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        unsafe vector = (memory + vectorOffset).bindMemory(to: iovec.self, capacity: Self.elementLimit)
        unsafe members = (memory + vectorOffset + vectorByteCount).bindMemory(
            to: Unmanaged<BlockRequest>.self, capacity: Self.elementLimit)
    }

    deinit { unsafe memory.deallocate() }

    var record: CommandRecord { unsafe CommandRecord(base: memory) }

    /// Each is kept alive by its submitter until it completes.
    subscript(index: Int) -> BlockRequest { unsafe members[index].takeUnretainedValue() }

    func removeAll() {
        count = 0
        byteCount = 0
    }

    func append(_ request: BlockRequest) {
        precondition(count < Self.elementLimit)
        unsafe members[count] = Unmanaged.passUnretained(request)
        unsafe vector[count] = iovec(iov_base: request.buffer.baseAddress, iov_len: request.buffer.count)
        count += 1
        unsafe byteCount += request.buffer.count
    }
}
