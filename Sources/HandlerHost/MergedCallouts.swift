// SPDX-License-Identifier: Apache-2.0

internal import CHandlerHost
internal import HandlerABI
internal import SCSI
internal import Synchronization
internal import TargetCore

// Reads and writes that are held for a while and merged.
//
// A merged callout that succeeds ends all its requests. When it fails, each of them is tried alone, in their order, so
// that an error is told to the request that it belongs to, with sense data of its own.
extension HandlerDevice {
    /// Neighbouring reads and writes reach the handler together.
    public var isMerging: Bool { merger != nil }

    /// Whether the configuration asks for merging, and the handler can do it: told when it cannot.
    func makeMerger() -> RequestMerger? {
        guard let settings = configuration.merging else { return nil }
        guard handler.handlerExtension.isVectored else {
            diagnostics.report(
                .notice,
                "\(configString): merge=on has no effect: the handler \(handler.subtype) takes one piece of memory a "
                    + "command")
            return nil
        }
        let byteLimit = Int(features.maximumTransferBlockCount) * blockByteCount
        return RequestMerger(settings, byteLimit: byteLimit)
    }

    /// The body of the merger's thread.
    func merge(_ merger: RequestMerger) {
        while true {
            switch merger.nextWork() {
            case .stop: return
            case .release: releaseHeld()
            case .retry(let group):
                for index in 0..<group.count { dispatch(group[index]) }
                merger.giveBack(group)
            }
            wakeHandler()
        }
    }

    /// Gives the handler what is held.
    func releaseHeld() {
        guard let merger, !merger.isEmpty else { return }
        merger.issuing.withLock {
            merger.release()
            for index in unsafe merger.released.indices {
                let request = unsafe merger.released[index].takeUnretainedValue()
                let planned = unsafe MergePlanner.Request(
                    isWrite: request.operation == .write, byteOffset: request.byteOffset,
                    byteCount: request.buffer.count, index: index)
                if merger.planner.add(planned) { continue }
                issuePlan(merger)
                // An empty plan takes any request.
                _ = merger.planner.add(planned)
            }
            issuePlan(merger)
            merger.issued()
        }
    }

    private func issuePlan(_ merger: RequestMerger) {
        while let places = merger.planner.takeGroup() {
            let group = places.count > 1 ? merger.takeGroup() : nil
            for place in places {
                let request = unsafe merger.released[merger.planner[place].index].takeUnretainedValue()
                if let group { group.append(request) } else { dispatch(request) }
            }
            if let group { dispatch(group, merger) }
        }
    }

    private func dispatch(_ group: MergeGroup, _ merger: RequestMerger) {
        let first = group[0]
        let merged = UInt64(group.count - 1)
        merger.groups.add(1, ordering: .relaxed)
        if first.operation == .write {
            merger.mergedWrites.add(merged, ordering: .relaxed)
        } else {
            merger.mergedReads.add(merged, ordering: .relaxed)
        }
        // A worker finds the group in the record of the first request.
        unsafe CommandRecord.current(in: first).group = Unmanaged.passUnretained(group)
        dispatch(first)
    }

    /// The callout for all of a group; where `perform` runs.
    func perform(_ group: MergeGroup) {
        let record = unsafe group.record
        let first = group[0]
        unsafe record.prepare(group: group, device: self, cdb: first.cdb)
        let returnDecides = handler.threadCount > 0
        let turn = unsafe record.begin(handlerCompletes: !returnDecides)
        let (offset, byteCount, count) = (Int(first.byteOffset), group.byteCount, group.count)
        let isWrite = first.operation == .write
        // The group's memory and the buffers outlive the callout, whoever ends it; each of the requests was checked
        // against the medium, which ends below 2^63.
        let callout = unsafe isWrite ? handler.callouts.write : handler.callouts.read
        let status =
            unsafe callout?(device, record.command, group.vector, count, byteCount, offset)
            ?? Int32(TCMU_STS_INVALID_CMD)
        // From here on the group may have ended, unless ending the turn says that it has not.
        if !returnDecides, status == Int32(TCMU_STS_OK) { return }
        // Nobody cancels a group: nothing is left in its record.
        guard case .ended = unsafe record.end(turn: turn, status) else {
            reportCompletion("completed a command and also returned \(status) for it")
            return
        }
        finish(group, status)
    }

    /// The turn of the group's record has ended in this thread.
    func finish(_ group: MergeGroup, _ status: Int32) {
        // Groups are made by mergers only.
        guard let merger else { return }
        guard status == Int32(TCMU_STS_OK) else {
            merger.fail(group)
            return
        }
        let last = group.count - 1
        for index in 0..<last { end(group[index]) }
        // With its last request the device may end, and the group must be back before that.
        let request = group[last]
        merger.giveBack(group)
        end(request)
    }

    private func end(_ request: BlockRequest) {
        let ticket = unsafe CommandRecord.current(in: request).ticket
        request.complete(.good)
        commandEnded(ticket)
    }
}
