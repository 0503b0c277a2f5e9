// SPDX-License-Identifier: Apache-2.0

/// The mode pages of a logical unit, in ascending order of page and subpage code.
public struct ModePages: Equatable, Sendable {
    public internal(set) var pages: [ModePage]

    public init(_ pages: [ModePage]) {
        self.pages = pages.sorted { ($0.code, $0.subpage) < ($1.code, $1.subpage) }
    }

    /// The pages of a disk with the values that no store changes: read-write error recovery, caching, control and
    /// informational exceptions. No bit is set or changeable beyond what stands here: use `configure`.
    public static var disk: ModePages {
        var pages = ModePages([.readWriteErrorRecovery, .caching, .control, .informationalExceptionsControl])
        pages.configure(.disableExceptionControl, default: true, isChangeable: false)
        pages.configure(.globalLoggingTargetSaveDisable, default: true, isChangeable: false)
        return pages
    }

    /// Sets the current and default value of a bit, and whether MODE SELECT may change it.
    /// A bit of a page that is not there is a programming error.
    public mutating func configure(_ bit: ModeBit, default isSet: Bool, isChangeable: Bool) {
        pages[position(of: bit)].configure(bit, default: isSet, isChangeable: isChangeable)
    }

    /// The current value of a bit. A bit of a page that is not there is a programming error.
    public subscript(_ bit: ModeBit) -> Bool {
        get { pages[position(of: bit)].isSet(bit, in: .current) }
        set { pages[position(of: bit)].setCurrent(bit, newValue) }
    }

    // MARK: - Saved values

    /// Some page can be saved.
    public var canSave: Bool { pages.contains(where: \.isSavable) }

    /// Pages of which something can change can be saved as well; `saved` is what was saved of them.
    public mutating func makeSavable(_ saved: [SavedModePage]) {
        for index in pages.indices where pages[index].isChangeable {
            pages[index].setSavable()
            let known = saved.first { $0.code == pages[index].code && $0.subpage == pages[index].subpage }
            if let known { pages[index].setSaved(known.bytes) }
        }
    }

    /// The current values of all pages that can be saved.
    public var savable: [SavedModePage] {
        pages.filter(\.isSavable).map { SavedModePage(code: $0.code, subpage: $0.subpage, bytes: $0.current) }
    }

    /// What a reset does to the current values (SPC-4 7.5): saved values, or defaults where nothing was saved.
    public mutating func restore() {
        for index in pages.indices { pages[index].restore() }
    }

    private func position(of bit: ModeBit) -> Int {
        guard let position = pages.firstIndex(where: { $0.code == bit.pageCode && $0.subpage == 0 }) else {
            preconditionFailure("no such mode page")
        }
        return position
    }

    func index(code: UInt8, subpage: UInt8) -> Int? {
        pages.firstIndex { $0.code == code && $0.subpage == subpage }
    }

    /// The pages that PAGE CODE and SUBPAGE CODE of MODE SENSE name (SPC-4 6.13).
    ///
    /// Throws INVALID FIELD IN CDB, pointing at the code, when there is none.
    func pages(code: UInt8, subpage: UInt8) throws(SenseData) -> [ModePage] {
        let ofCode = code == ModePageCode.all ? pages : pages.filter { $0.code == code }
        guard !ofCode.isEmpty else { throw .invalidFieldInCDB(byte: 2, bit: 5) }
        let found: [ModePage]
        switch (code, subpage) {
        case (_, ModePageCode.allSubpages): found = ofCode
        case (ModePageCode.all, 0): found = ofCode.filter { $0.subpage == 0 }
        case (ModePageCode.all, _): found = []
        default: found = ofCode.filter { $0.subpage == subpage }
        }
        guard !found.isEmpty else { throw .invalidFieldInCDB(byte: 3) }
        return found
    }
}

/// The values of a mode page as they are saved: the whole page.
public struct SavedModePage: Codable, Equatable, Sendable {
    public var code: UInt8
    public var subpage: UInt8
    public var bytes: [UInt8]

    public init(code: UInt8, subpage: UInt8, bytes: [UInt8]) {
        self.code = code
        self.subpage = subpage
        self.bytes = bytes
    }
}

extension ModePage {
    /// Read-Write Error Recovery mode page (SBC-4): 12 bytes. Retries and time limit are the store's own.
    public static var readWriteErrorRecovery: ModePage {
        ModePage(code: ModePageCode.readWriteErrorRecovery, defaults: [UInt8](repeating: 0, count: 10))
    }

    /// Caching mode page (SBC-4): 20 bytes. No retention priorities, no prefetch limits.
    public static var caching: ModePage {
        ModePage(code: ModePageCode.caching, defaults: [UInt8](repeating: 0, count: 18))
    }

    /// Control mode page (SPC-4 7.5.8): 12 bytes. BUSY TIMEOUT PERIOD without limit; TST and QUEUE ALGORITHM MODIFIER
    /// are the device server's to set.
    public static var control: ModePage {
        var body = [UInt8](repeating: 0, count: 10)
        body[6] = 0xFF
        body[7] = 0xFF
        return ModePage(code: ModePageCode.control, defaults: body)
    }

    /// Logical Block Provisioning mode page (SBC-4), subpage 02h: 24 bytes, with one soft threshold descriptor for the
    /// available LBA mapping resource, armed for its decrease and told to every initiator (SITUA zero).
    ///
    /// `availableThresholdCount`: threshold sets.
    public static func logicalBlockProvisioning(availableThresholdCount: UInt32) -> ModePage {
        let reserved = [UInt8](repeating: 0, count: 12)
        let enabledSoftDecreasing: UInt8 = 0x80
        let availableResource: UInt8 = 0x01
        let count = (0..<4).map { UInt8(truncatingIfNeeded: availableThresholdCount >> (24 - 8 * $0)) }
        return ModePage(
            code: ModePageCode.informationalExceptionsControl, subpage: ModePageCode.logicalBlockProvisioningSubpage,
            defaults: reserved + [enabledSoftDecreasing, availableResource, 0, 0] + count)
    }

    /// Informational Exceptions Control mode page (SBC-4): 12 bytes.
    public static var informationalExceptionsControl: ModePage {
        ModePage(code: ModePageCode.informationalExceptionsControl, defaults: [UInt8](repeating: 0, count: 10))
    }
}
